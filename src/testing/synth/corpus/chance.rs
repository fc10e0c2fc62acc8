//! Draws from wide distributions.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// One person's dice, or those of one thing.
pub struct Dice(Pcg64Mcg);

impl Dice {
    pub fn of(seed: u64, thing: u64) -> Dice {
        let mixed = seed.wrapping_mul(0xd134_2543_de82_ef95) ^ thing.wrapping_mul(0x2545_f491_4f6c_dd1d);
        Dice(Pcg64Mcg::seed_from_u64(mixed))
    }

    pub fn unit(&mut self) -> f64 {
        self.0.random_range(0.0..1.0)
    }

    pub fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    pub fn whole(&mut self, low: i64, high: i64) -> i64 {
        self.0.random_range(low..=high)
    }

    pub fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Half are below the median; a share of `e^sigma` times it is nothing unusual.
    pub fn around(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }

    pub fn pick<T: Copy>(&mut self, some: &[T]) -> T {
        some[self.0.random_range(0..some.len())]
    }

    pub fn seed(&mut self) -> u64 {
        self.0.random_range(0..u64::MAX)
    }
}
