//! Hears the words of the prompts in a recording, by correlation: what the built-in carrier's
//! handset and the tests listen with.

use audio_codec_algorithms::decode_alaw;

use super::prompts::{Prompts, Word};

/// Samples of one look at the loudness: 10 ms.
const LOOK: usize = 80;
/// What never gets louder than this in a look is silence.
const LOUD: u16 = 400;
/// Looks of silence that part two words: 250 ms. Words have shorter pauses within.
const PAUSE: usize = 25;
/// Samples that are taken together: speech is told apart well below 1000 Hz.
const TOGETHER: usize = 4;
/// How far a word is shifted against its pattern, either way: its first packet may be lost.
const SHIFT: usize = 180 / TOGETHER;
/// The least likeness of a word and its pattern; 1 is equality, strangers stay below 0.4.
const LIKENESS: f32 = 0.7;

/// Knows the words of some prompts.
#[derive(Debug)]
pub struct Ear {
    patterns: Vec<(Word, Vec<f32>)>,
}

impl Ear {
    /// One that knows these prompts in all their languages.
    pub fn new(prompts: &Prompts) -> Self {
        let pattern = |(word, clip): (Word, &super::Clip)| {
            let spoken = spoken(clip.alaw()).into_iter();
            let first = spoken.clone().next()?.0;
            Some((word, coarse(&clip.alaw()[first..spoken.last()?.1])))
        };
        Self { patterns: prompts.clips().filter_map(pattern).collect() }
    }

    /// The words of a recording in A-law, in order; what is none of them is left out.
    pub fn words(&self, recording: &[u8]) -> Vec<Word> {
        let heard = |(from, to): (usize, usize)| self.word(&recording[from..to]);
        spoken(recording).into_iter().filter_map(heard).collect()
    }

    /// The digits of a recording, a text for each time that they were said.
    pub fn codes(&self, recording: &[u8]) -> Vec<String> {
        let mut codes = vec![String::new()];
        for word in self.words(recording) {
            match (word, codes.last_mut()) {
                (Word::Digit(digit), Some(code)) => code.push(char::from(b'0' + digit)),
                _ => codes.push(String::new()),
            }
        }
        codes.retain(|code| !code.is_empty());
        codes
    }

    fn word(&self, heard: &[u8]) -> Option<Word> {
        // A word begins at any of the samples that are taken together.
        let phases: Vec<_> = (0..TOGETHER).map(|n| coarse(heard.get(n..).unwrap_or(&[]))).collect();
        let length = heard.len() / TOGETHER;
        let is_as_long = |pattern: &[f32]| {
            length.abs_diff(pattern.len()) <= length.max(pattern.len()) / 5 + 2 * SHIFT
        };
        let best_phase =
            |pattern| phases.iter().map(|heard| likeness(heard, pattern)).fold(0.0, f32::max);
        let patterns = self.patterns.iter().filter(|(_, pattern)| is_as_long(pattern));
        let scored = patterns.map(|(word, pattern)| (*word, best_phase(pattern)));
        let best = scored.max_by(|(_, one), (_, other)| one.total_cmp(other));
        best.filter(|(_, likeness)| *likeness >= LIKENESS).map(|(word, _)| word)
    }
}

/// Where something is said: first and last sample of each piece between two pauses.
fn spoken(recording: &[u8]) -> Vec<(usize, usize)> {
    let mut pieces: Vec<(usize, usize)> = Vec::new();
    for (n, look) in recording.chunks(LOOK).enumerate() {
        if look.iter().all(|byte| decode_alaw(*byte).unsigned_abs() < LOUD) {
            continue;
        }
        let (from, to) = (n * LOOK, n * LOOK + look.len());
        match pieces.last_mut() {
            Some((_, end)) if from - *end < PAUSE * LOOK => *end = to,
            _ => pieces.push((from, to)),
        }
    }
    pieces
}

fn coarse(samples: &[u8]) -> Vec<f32> {
    let sum = |part: &[u8]| part.iter().map(|byte| f32::from(decode_alaw(*byte))).sum();
    samples.chunks(TOGETHER).map(sum).collect()
}

/// The greatest normalised correlation over all shifts.
fn likeness(heard: &[f32], pattern: &[f32]) -> f32 {
    let power = |samples: &[f32]| samples.iter().map(|sample| sample * sample).sum::<f32>();
    let norm = (power(heard) * power(pattern)).sqrt().max(1.0);
    let later = (0..=SHIFT).map(|shift| dot(heard.get(shift..).unwrap_or_default(), pattern));
    let sooner = (1..=SHIFT).map(|shift| dot(heard, pattern.get(shift..).unwrap_or_default()));
    later.chain(sooner).fold(0.0, f32::max) / norm
}

fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::SILENCE;

    #[test]
    fn every_digit_is_heard_in_both_languages_from_any_place_on() {
        let prompts = Prompts::built_in();
        let ear = Ear::new(&prompts);
        for (locale, leads) in [("ru", [0, 33]), ("en", [1, 160])] {
            let said = prompts.announce(Some(locale), "9182736450");
            for lead in leads {
                let recording = [&vec![SILENCE; lead][..], said.samples()].concat();
                assert_eq!(ear.codes(&recording), ["9182736450"; 2], "{locale}, {lead}");
            }
        }
    }

    #[test]
    fn lost_packets_do_not_turn_one_digit_into_another() {
        let prompts = Prompts::built_in();
        let mut recording = prompts.announce(Some("ru"), "480193").samples().to_vec();
        for lost in recording.chunks_mut(160).step_by(20) {
            lost.fill(SILENCE);
        }
        assert_eq!(Ear::new(&prompts).codes(&recording), ["480193", "480193"]);
    }

    #[test]
    fn noise_and_silence_hold_no_words() {
        let ear = Ear::new(&Prompts::built_in());
        let noise: Vec<u8> =
            (0..20_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert!(ear.words(&noise).is_empty());
        assert!(ear.words(&[SILENCE; 8000]).is_empty() && ear.words(&[]).is_empty());
    }
}
