//! Many values of a polyline at once, on processors with AVX2.
//!
//! The ends of all values in 64 characters are found with a few instructions. Where they lie in the next twelve says from
//! where the bytes of four values come, so that no character and no value is a branch (the way of Masked VByte, Plaisance
//! and others, 2015). Only what is sure is taken: in front of a character that is none, a value of more than
//! three characters or a point beyond ±180 degrees it stops, and leaves that to the loop that takes one value after the
//! other. So every error comes from there, and says the same as without this file.
//!
//! It is the only file of the model with `unsafe` in it: the call of functions that need instructions which not
//! every processor has, and loads and stores that the compiler cannot see to be within bounds. Each says why it is sound.
#![expect(unsafe_code, reason = "instructions that not every processor has, and stores into spare room")]

use std::arch::x86_64::*;

use super::{Cursor, HALF_TURN_E5, QUARTER_TURN_E5, Track};

/// Characters whose ends are found together.
const BLOCK: usize = 64;
/// Characters are loaded as 16 bytes, wherever in the block they begin.
const LOADED: usize = 16;
/// Four values of up to three characters are taken by one look into a table.
const STEP_VALUES: usize = 4;
const STEP_CHARACTERS: usize = 3 * STEP_VALUES;
/// Points that are taken together. There is room for so many behind the points of a line.
pub(super) const GROUP: usize = 4;

/// Whether the processor can do this. It is asked once; then this is a load.
pub(super) fn is_there() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("popcnt")
}

/// Takes points as far as they are sure. Returns the character up to which the slow loop is to go on. Without the
/// instructions, or without room in the track, that is the whole text.
pub(super) fn take(text: &[u8], cursor: &mut Cursor, track: &mut Track) -> usize {
    if !is_there() {
        return text.len();
    }
    // SAFETY: the processor has the instructions that the function is compiled for.
    unsafe { take_groups(text, cursor, track) }
}

#[target_feature(enable = "avx2,bmi1,popcnt")]
fn take_groups(text: &[u8], cursor: &mut Cursor, track: &mut Track) -> usize {
    let limits = pairs([QUARTER_TURN_E5 as i32, HALF_TURN_E5 as i32]);
    let mut before = pairs([cursor.lat_e5, cursor.lon_e5]);
    let (lats, lons) = (track.lat_e5.spare_capacity_mut(), track.lon_e5.spare_capacity_mut());
    let room = lats.len().min(lons.len());
    let (mut from, mut done) = (cursor.at, 0);
    let mut until = text.len();
    let mut padded = [b'?'; BLOCK + LOADED];
    'text: while from < text.len() {
        let rest = &text[from..];
        // Behind the end there are values of 0, which are counted as none.
        let block = rest.first_chunk().unwrap_or_else(|| {
            padded = [b'?'; BLOCK + LOADED];
            padded[..rest.len()].copy_from_slice(rest);
            &padded
        });
        let (ends, foreign) = ends_of(block);
        let sure = rest.len().min(foreign.trailing_zeros() as usize);
        let mut at = 0;
        while at <= BLOCK - 2 * STEP_CHARACTERS && at < rest.len() {
            let (first, behind_first) = step(block, ends, at);
            let (second, behind) = step(block, ends, behind_first);
            let mut points = GROUP;
            if behind > sure {
                let own = (ends & ((1 << sure) - 1)) >> at;
                points = own.count_ones() as usize / 2;
                let is_last = behind <= BLOCK && sure == rest.len();
                if !is_last || points == 0 {
                    until = from + at + 1;
                    from += at;
                    break 'text;
                }
            }
            if done + GROUP > room {
                from += at;
                break 'text;
            }
            let here = sums(differences(_mm256_set_m128i(second, first)), before);
            if _mm256_movemask_epi8(_mm256_cmpgt_epi32(_mm256_abs_epi32(here), limits)) != 0 {
                until = from + at + 1;
                from += at;
                break 'text;
            }
            let apart = _mm256_permutevar8x32_epi32(here, _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
            let (lat, lon) = (_mm256_castsi256_si128(apart), _mm256_extracti128_si256::<1>(apart));
            // SAFETY: there is room for `GROUP` more integers, as was asked above; `storeu` needs no alignment.
            unsafe {
                _mm_storeu_si128(lats.as_mut_ptr().add(done).cast(), lat);
                _mm_storeu_si128(lons.as_mut_ptr().add(done).cast(), lon);
            }
            done += points;
            if points < GROUP {
                // The line ends within the group, perhaps in the middle of a point.
                let lanes = _mm256_add_epi32(pairs([0, 1]), _mm256_set1_epi32(2 * (points as i32 - 1)));
                before = _mm256_permutevar8x32_epi32(here, lanes);
                from += at + end_of(ends >> at, 2 * points);
                break 'text;
            }
            before = _mm256_permute4x64_epi64::<0b11_11_11_11>(here);
            at = behind;
        }
        from += at;
    }
    let len = track.lat_e5.len() + done;
    // SAFETY: `done` integers were written behind those that were there, into spare capacity.
    unsafe {
        track.lat_e5.set_len(len);
        track.lon_e5.set_len(len);
    }
    let (lat_e5, lon_e5) = (_mm256_extract_epi32::<0>(before), _mm256_extract_epi32::<1>(before));
    *cursor = Cursor { at: from, lat_e5, lon_e5 };
    until
}

/// Characters of a line that end a value: no fewer than the values that it has.
pub(super) fn count_ends(text: &[u8]) -> usize {
    #[target_feature(enable = "avx2")]
    fn count(text: &[u8]) -> usize {
        let mut ends = 0;
        // No more than a byte counts. Loops and no iterators, which would be compiled without the instructions.
        for some in text.chunks(192) {
            let mut of_these = 0_u8;
            for character in some {
                of_these += u8::from(*character < super::GOES_ON);
            }
            ends += usize::from(of_these);
        }
        ends
    }
    if is_there() {
        // SAFETY: the processor has the instructions that the function is compiled for.
        unsafe { count(text) }
    } else {
        text.iter().filter(|c| **c < super::GOES_ON).count()
    }
}

/// One behind the end of a value, counted from 1.
fn end_of(mut ends: u64, value: usize) -> usize {
    for _ in 1..value {
        ends &= ends - 1;
    }
    ends.trailing_zeros() as usize + 1
}

/// By where values end in the next characters: from where the bytes of four lanes come, and how many characters the four
/// values have.
struct Steps {
    bytes: [[u8; 16]; 1 << STEP_CHARACTERS],
    length: [u8; 1 << STEP_CHARACTERS],
}

static STEPS: Steps = steps();

/// The slow, obvious way to each of them.
const fn steps() -> Steps {
    const NONE: u8 = 0x80;
    let mut steps =
        Steps { bytes: [[NONE; 16]; 1 << STEP_CHARACTERS], length: [BLOCK as u8; 1 << STEP_CHARACTERS] };
    let mut ends = 0;
    while ends < 1 << STEP_CHARACTERS {
        let (mut at, mut value, mut byte) = (0, 0, 0);
        while at < STEP_CHARACTERS && value < STEP_VALUES && byte < 3 {
            steps.bytes[ends][4 * value + byte] = at as u8;
            byte += 1;
            if ends >> at & 1 == 1 {
                (value, byte) = (value + 1, 0);
            }
            at += 1;
        }
        if value == STEP_VALUES {
            steps.length[ends] = at as u8;
        }
        ends += 1;
    }
    steps
}

/// Four values, five bits a byte and a lane each, and one behind the end of the last: behind the block where one of them
/// is too long.
#[inline]
#[target_feature(enable = "avx2")]
fn step(block: &[u8; BLOCK + LOADED], ends: u64, at: usize) -> (__m128i, usize) {
    let next = ends.wrapping_shr(at as u32) as usize % (1 << STEP_CHARACTERS);
    // SAFETY: by the remainder 16 bytes from at most 63 are loaded, of a block of 80, and a row of the table has 16.
    let (characters, bytes) = unsafe {
        let characters = _mm_loadu_si128(block.as_ptr().add(at % BLOCK).cast());
        (characters, _mm_loadu_si128(STEPS.bytes[next].as_ptr().cast()))
    };
    let groups = _mm_sub_epi8(characters, _mm_set1_epi8(63));
    let fives = _mm_and_si128(groups, _mm_set1_epi8(0x1f));
    (_mm_shuffle_epi8(fives, bytes), at + usize::from(STEPS.length[next]))
}

/// A bit for each character of the block that ends a value, and for each that is not of the alphabet.
#[inline]
#[target_feature(enable = "avx2")]
fn ends_of(block: &[u8; BLOCK + LOADED]) -> (u64, u64) {
    let half = |at: usize| {
        // SAFETY: 32 bytes from 0 or from 32 lie within the block; `loadu` needs no alignment.
        let characters = unsafe { _mm256_loadu_si256(block.as_ptr().add(at).cast()) };
        let groups = _mm256_sub_epi8(characters, _mm256_set1_epi8(63));
        let most = _mm256_set1_epi8(63);
        let is_ours = _mm256_cmpeq_epi8(_mm256_max_epu8(groups, most), most);
        // The bit that says that a value goes on becomes the topmost one of its byte.
        let goes_on = _mm256_slli_epi16::<2>(groups);
        let bits = |bytes| u64::from(_mm256_movemask_epi8(bytes) as u32);
        (bits(goes_on), bits(is_ours))
    };
    let (low, high) = (half(0), half(32));
    (!(low.0 | high.0 << 32), !(low.1 | high.1 << 32))
}

/// What eight values say that have five bits in each byte of their lane.
#[inline]
#[target_feature(enable = "avx2")]
fn differences(fives: __m256i) -> __m256i {
    // Twice two neighbours become one: 5 and 5 bits are 10, 10 and 10 are 20.
    let tens = _mm256_maddubs_epi16(fives, _mm256_set1_epi16(1 | 32 << 8));
    let bits = _mm256_madd_epi16(tens, _mm256_set1_epi32(1 | 1024 << 16));
    let is_negative = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_and_si256(bits, _mm256_set1_epi32(1)));
    _mm256_xor_si256(_mm256_srli_epi32::<1>(bits), is_negative)
}

/// Latitudes and longitudes in turn, from the differences and the point before. Eight differences of 15 bits on top of a
/// point on the globe do not overflow.
#[inline]
#[target_feature(enable = "avx2")]
fn sums(differences: __m256i, before: __m256i) -> __m256i {
    let of_two = _mm256_add_epi32(differences, _mm256_slli_si256::<8>(differences));
    let second = _mm256_permute4x64_epi64::<0b01_01_01_01>(of_two);
    let carried = _mm256_blend_epi32::<0b1111_0000>(_mm256_setzero_si256(), second);
    _mm256_add_epi32(_mm256_add_epi32(of_two, carried), before)
}

#[inline]
#[target_feature(enable = "avx2")]
fn pairs([lat, lon]: [i32; 2]) -> __m256i {
    _mm256_setr_epi32(lat, lon, lat, lon, lat, lon, lat, lon)
}
