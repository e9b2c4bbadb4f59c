//! The words that a call says: those in the binary, and an operator's own beside them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clip::{Clip, WavFault};
use super::{RATE, SILENCE};

/// The language where the wanted one is not spoken.
const FALLBACK: &str = "en";

/// Silence before the first word: the phone travels from the pocket to the ear.
const BEFORE: usize = RATE;
/// Silence between the words and the digits.
const BETWEEN_WORDS: usize = RATE / 2;
/// Silence between two digits: time to write one down.
const BETWEEN_DIGITS: usize = RATE * 2 / 5;
/// Silence between the first time and the second.
const BETWEEN_TIMES: usize = RATE;

/// A folder of prompts is never larger; what exceeds it was not meant.
const FILE_LIMIT: u64 = 1 << 20;
/// Languages of one folder.
const LANGUAGE_LIMIT: usize = 64;

/// One thing that is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// "your code is"
    Code,
    /// "once more"
    Again,
    /// 0 to 9.
    Digit(u8),
}

impl Word {
    /// Every one.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Code, Self::Again].into_iter().chain((0..10).map(Self::Digit))
    }

    /// The name of its file, without the ending.
    fn name(self) -> String {
        match self {
            Self::Code => "code".to_owned(),
            Self::Again => "again".to_owned(),
            Self::Digit(digit) => digit.to_string(),
        }
    }
}

/// The words in every language.
#[derive(Clone, Debug)]
pub struct Prompts {
    languages: BTreeMap<String, BTreeMap<Word, Clip>>,
}

/// Why an operator's prompts cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PromptsError {
    /// A folder or file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file is not what a prompt has to be.
    #[error("{}: {fault}", path.display())]
    Wav {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        fault: WavFault,
    },
    /// A file has a name that nothing is said by.
    #[error("{}: prompts are named code.wav, again.wav and 0.wav to 9.wav", .0.display())]
    UnknownName(PathBuf),
    /// A language that is not in the binary lacks a word.
    #[error("{}: {word}.wav is missing; only ru and en are built in", folder.display())]
    Missing {
        /// The language's folder.
        folder: PathBuf,
        /// The word.
        word: String,
    },
    /// There are more languages than anybody speaks.
    #[error("{} has more than {LANGUAGE_LIMIT} languages", .0.display())]
    TooManyLanguages(PathBuf),
}

/// What one call says: a code, twice. Never prints.
#[derive(Clone)]
pub struct Announcement {
    samples: Arc<[u8]>,
    whole_at: usize,
}

macro_rules! built_in {
    ($language:literal) => {
        [
            (Word::Code, built_in!($language, "code")),
            (Word::Again, built_in!($language, "again")),
            (Word::Digit(0), built_in!($language, "0")),
            (Word::Digit(1), built_in!($language, "1")),
            (Word::Digit(2), built_in!($language, "2")),
            (Word::Digit(3), built_in!($language, "3")),
            (Word::Digit(4), built_in!($language, "4")),
            (Word::Digit(5), built_in!($language, "5")),
            (Word::Digit(6), built_in!($language, "6")),
            (Word::Digit(7), built_in!($language, "7")),
            (Word::Digit(8), built_in!($language, "8")),
            (Word::Digit(9), built_in!($language, "9")),
        ]
    };
    ($language:literal, $word:literal) => {
        Clip::built_in(include_bytes!(concat!("../../prompts/", $language, "/", $word, ".al")))
    };
}

impl Prompts {
    /// Those in the binary: Russian and English.
    pub fn built_in() -> Self {
        let languages = [("en", built_in!("en")), ("ru", built_in!("ru"))];
        let named = |(name, words): (&str, [(Word, Clip); 12])| {
            (name.to_owned(), words.into_iter().collect::<BTreeMap<_, _>>())
        };
        Self { languages: languages.into_iter().map(named).collect() }
    }

    /// Those in the binary, with the operator's own in place of them: a folder for each language
    /// (`ru`, `en`, `de`, …) with WAV files named by the word.
    pub fn load(folder: Option<&Path>) -> Result<Self, PromptsError> {
        let mut prompts = Self::built_in();
        let Some(folder) = folder else { return Ok(prompts) };
        for language in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
            if prompts.languages.len() == LANGUAGE_LIMIT {
                return Err(PromptsError::TooManyLanguages(folder.to_owned()));
            }
            let name = language.file_name().unwrap_or_default().to_string_lossy();
            let words = prompts.languages.entry(name.to_ascii_lowercase()).or_default();
            for path in entries(&language)? {
                if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("wav")) {
                    let (word, clip) = read(&path)?;
                    words.insert(word, clip);
                }
            }
            if let Some(missing) = Word::all().find(|word| !words.contains_key(word)) {
                return Err(PromptsError::Missing { folder: language, word: missing.name() });
            }
        }
        Ok(prompts)
    }

    /// The code, digit by digit, twice, in the language of a BCP 47 tag, or in English.
    pub fn announce(&self, locale: Option<&str>, code: &str) -> Announcement {
        let wanted = locale.and_then(|tag| tag.split(['-', '_']).next()).unwrap_or_default();
        let words = self
            .languages
            .get(&wanted.to_ascii_lowercase())
            .or_else(|| self.languages.get(FALLBACK))
            .expect("the fallback is in the binary");
        let mut samples = vec![SILENCE; BEFORE];
        say(&mut samples, words, Word::Code, BETWEEN_WORDS);
        say_digits(&mut samples, words, code);
        let whole_at = samples.len();
        samples.resize(whole_at + BETWEEN_TIMES, SILENCE);
        say(&mut samples, words, Word::Again, BETWEEN_WORDS);
        say_digits(&mut samples, words, code);
        Announcement { samples: samples.into(), whole_at }
    }

    /// Every clip, for whoever listens.
    pub fn clips(&self) -> impl Iterator<Item = (Word, &Clip)> {
        self.languages.values().flatten().map(|(word, clip)| (*word, clip))
    }
}

impl Announcement {
    /// A-law, from the first sample to the last.
    pub fn samples(&self) -> &[u8] {
        &self.samples
    }

    /// The sample at which every digit has been said once.
    pub fn whole_at(&self) -> usize {
        self.whole_at
    }
}

impl fmt::Debug for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Announcement(***)")
    }
}

fn say_digits(samples: &mut Vec<u8>, words: &BTreeMap<Word, Clip>, code: &str) {
    for digit in code.bytes().filter(u8::is_ascii_digit) {
        say(samples, words, Word::Digit(digit - b'0'), BETWEEN_DIGITS);
    }
}

fn say(samples: &mut Vec<u8>, words: &BTreeMap<Word, Clip>, word: Word, silence: usize) {
    if let Some(clip) = words.get(&word) {
        samples.extend_from_slice(clip.alaw());
    }
    samples.resize(samples.len() + silence, SILENCE);
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, PromptsError> {
    let failed = |cause| PromptsError::Read { path: folder.to_owned(), cause };
    let entries = fs::read_dir(folder).map_err(failed)?;
    let paths: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(failed)?;
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<(Word, Clip), PromptsError> {
    let failed = |cause| PromptsError::Read { path: path.to_owned(), cause };
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let word = Word::all().find(|word| word.name() == name);
    let word = word.ok_or_else(|| PromptsError::UnknownName(path.to_owned()))?;
    if fs::metadata(path).map_err(failed)?.len() > FILE_LIMIT {
        return Err(PromptsError::Wav { path: path.to_owned(), fault: WavFault::TooLong });
    }
    let bytes = fs::read(path).map_err(failed)?;
    let clip = Clip::from_wav(&bytes);
    Ok((word, clip.map_err(|fault| PromptsError::Wav { path: path.to_owned(), fault })?))
}

#[cfg(test)]
mod tests {
    use audio_codec_algorithms::decode_alaw;

    use super::*;

    #[test]
    fn every_built_in_clip_is_speech_as_loud_as_the_others() {
        let prompts = Prompts::built_in();
        assert_eq!(prompts.clips().count(), 24);
        for (word, clip) in prompts.clips() {
            let peak = clip.alaw().iter().map(|byte| decode_alaw(*byte).unsigned_abs()).max();
            assert!((15_000..18_000).contains(&peak.unwrap()), "{word:?}: {peak:?}");
            assert!((RATE / 5..RATE * 5 / 4).contains(&clip.alaw().len()), "{word:?}");
        }
    }

    #[test]
    fn the_code_is_said_twice_in_the_language_of_the_locale_or_in_english() {
        let prompts = Prompts::built_in();
        let said = |locale| prompts.announce(locale, "120");
        let (ru, en) = (said(Some("ru-RU")), said(Some("en")));
        assert_eq!(ru.samples(), said(Some("RU")).samples());
        assert_ne!(ru.samples(), en.samples());
        assert_eq!(en.samples(), said(None).samples());
        assert_eq!(en.samples(), said(Some("fr")).samples());
        let one = prompts.languages["ru"][&Word::Digit(1)].alaw();
        let places: Vec<usize> = (0..ru.samples().len() - one.len())
            .filter(|place| ru.samples()[*place..].starts_with(one))
            .collect();
        assert_eq!(places.len(), 2);
        assert!(places[0] < ru.whole_at() && ru.whole_at() < places[1]);
        assert_eq!(format!("{ru:?}"), "Announcement(***)");
    }

    #[test]
    fn an_operators_own_words_take_the_place_of_the_built_in_ones() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("ru")).unwrap();
        fs::write(folder.path().join("README"), "ours").unwrap();
        let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x06\0\x01\0\x40\x1f\0\0".to_vec();
        wav.extend([0, 0, 0, 0, 1, 0, 8, 0]);
        wav.extend(b"data\x03\0\0\0abc");
        fs::write(folder.path().join("ru/code.wav"), wav).unwrap();
        let prompts = Prompts::load(Some(folder.path())).unwrap();
        assert_eq!(prompts.languages["ru"][&Word::Code].alaw(), b"abc");
        assert!(prompts.languages["ru"][&Word::Again].alaw().len() > 1000);
    }

    #[test]
    fn a_wrong_file_is_named_with_what_is_wrong_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let load = || Prompts::load(Some(folder.path())).unwrap_err().to_string();
        let ru = folder.path().join("ru");
        fs::create_dir(&ru).unwrap();
        fs::write(ru.join("7.wav"), "not a sound").unwrap();
        assert!(load().ends_with("ru/7.wav: this is no WAV file"), "{}", load());
        fs::rename(ru.join("7.wav"), ru.join("seven.wav")).unwrap();
        assert!(load().contains("ru/seven.wav: prompts are named"), "{}", load());
        fs::rename(ru, folder.path().join("de")).unwrap();
        fs::remove_file(folder.path().join("de/seven.wav")).unwrap();
        assert!(load().contains("code.wav is missing"), "{}", load());
        let nowhere = Prompts::load(Some(&folder.path().join("nowhere"))).unwrap_err();
        assert!(matches!(nowhere, PromptsError::Read { .. }));
    }
}
