//! Sports as each format names them.

use std::sync::LazyLock;

#[derive(Debug, serde::Deserialize)]
pub struct Sport {
    pub strava: String,
    pub garmin: String,
    pub fitbit: String,
    pub apple: String,
    pub health_connect: String,
    pub gpx: String,
    pub tcx: String,
    pub fit: u8,
    pub fit_sub: u8,
    pub metres_per_s: f64,
    is_outdoor: u8,
}

impl Sport {
    pub fn is_outdoor(&self) -> bool {
        self.is_outdoor == 1
    }
}

static SPORTS: LazyLock<Vec<Sport>> = LazyLock::new(|| {
    let table = include_str!("../../../../data/corpus_sports.csv");
    let rows = csv::Reader::from_reader(table.as_bytes()).into_deserialize();
    rows.collect::<Result<_, _>>().expect("the table is sound")
});

/// Of what is not in the table, whatever formats call the rest.
pub fn named(strava: &str) -> &'static Sport {
    let found = SPORTS.iter().find(|sport| sport.strava == strava);
    found.unwrap_or_else(|| SPORTS.last().expect("the table has rows"))
}
