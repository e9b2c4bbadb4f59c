//! A piece of speech: G.711 A-law at 8000 Hz, one byte a sample.

use std::borrow::Cow;
use std::fmt;

use audio_codec_algorithms::encode_alaw;

use super::RATE;

/// A prompt is a few words; ten seconds are a file that was not meant.
const CLIP_LIMIT: usize = 10 * RATE;

/// Format tags of a `fmt ` chunk.
const PCM: u16 = 1;
const ALAW: u16 = 6;
const EXTENSIBLE: u16 = 0xfffe;

/// A piece of speech.
#[derive(Clone, PartialEq, Eq)]
pub struct Clip(Cow<'static, [u8]>);

/// Why a file is no prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WavFault {
    /// It does not begin as a RIFF WAVE file does, or breaks off.
    #[error("this is no WAV file")]
    NotWav,
    /// Its samples are neither PCM of 16 bits nor A-law.
    #[error("its samples are of format {tag} with {bits} bits; PCM of 16 bits or A-law is wanted")]
    Format {
        /// The format tag.
        tag: u16,
        /// Bits of a sample.
        bits: u16,
    },
    /// It has more than one channel.
    #[error("it has {0} channels; one is wanted")]
    Channels(u16),
    /// It has another rate.
    #[error("it has {0} samples a second; 8000 are wanted")]
    Rate(u32),
    /// It holds no sample.
    #[error("it is empty")]
    Empty,
    /// It lasts longer than a prompt.
    #[error("it lasts longer than 10 s")]
    TooLong,
}

impl Clip {
    /// Of a file in the binary.
    pub const fn built_in(alaw: &'static [u8]) -> Self {
        Self(Cow::Borrowed(alaw))
    }

    /// Reads a WAV file: one channel, 8000 Hz, PCM of 16 bits or A-law.
    pub fn from_wav(file: &[u8]) -> Result<Self, WavFault> {
        let body = match file {
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', body @ ..] => body,
            _ => return Err(WavFault::NotWav),
        };
        let mut format = None;
        let mut rest = body;
        while let Some((header, after)) = rest.split_at_checked(8) {
            let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
            // Programs that write into a pipe do not know the length and put a huge one.
            let (chunk, next) = after.split_at(length.min(after.len()));
            match &header[..4] {
                b"fmt " => format = Some(is_alaw(chunk)?),
                b"data" => return Self::of_samples(format.ok_or(WavFault::NotWav)?, chunk),
                _ => {}
            }
            // Chunks begin at even places.
            rest = next.get(length % 2..).unwrap_or_default();
        }
        Err(WavFault::NotWav)
    }

    /// Its samples.
    pub fn alaw(&self) -> &[u8] {
        &self.0
    }

    fn of_samples(is_alaw: bool, data: &[u8]) -> Result<Self, WavFault> {
        let samples: Vec<u8> = match is_alaw {
            true => data.to_vec(),
            false => {
                let pairs = data.chunks_exact(2);
                pairs.map(|pair| encode_alaw(i16::from_le_bytes([pair[0], pair[1]]))).collect()
            }
        };
        match samples.len() {
            0 => Err(WavFault::Empty),
            length if length > CLIP_LIMIT => Err(WavFault::TooLong),
            _ => Ok(Self(Cow::Owned(samples))),
        }
    }
}

impl fmt::Debug for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clip({} samples)", self.0.len())
    }
}

fn is_alaw(chunk: &[u8]) -> Result<bool, WavFault> {
    let short = |at: usize| {
        let bytes = chunk.get(at..at + 2).ok_or(WavFault::NotWav)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    };
    let (mut tag, channels, bits) = (short(0)?, short(2)?, short(14)?);
    let rate = u32::from(short(4)?) | (u32::from(short(6)?) << 16);
    if tag == EXTENSIBLE {
        // The first bytes of the sub-format are the tag that is meant.
        tag = short(24)?;
    }
    if channels != 1 {
        return Err(WavFault::Channels(channels));
    }
    if rate as usize != RATE {
        return Err(WavFault::Rate(rate));
    }
    match (tag, bits) {
        (PCM, 16) => Ok(false),
        (ALAW, 8) => Ok(true),
        _ => Err(WavFault::Format { tag, bits }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        file.extend(tag.to_le_bytes());
        file.extend(channels.to_le_bytes());
        file.extend(rate.to_le_bytes());
        file.extend([0; 6]);
        file.extend(bits.to_le_bytes());
        file.extend(b"data");
        file.extend((data.len() as u32).to_le_bytes());
        file.extend(data);
        file
    }

    #[test]
    fn pcm_becomes_a_law_and_a_law_stays_as_it_is() {
        let clip = Clip::from_wav(&wav(1, 1, 8000, 16, &[0, 0, 0, 0x40])).unwrap();
        assert_eq!(clip.alaw(), [SILENT, encode_alaw(0x4000)]);
        let clip = Clip::from_wav(&wav(6, 1, 8000, 8, &[1, 2, 3])).unwrap();
        assert_eq!(clip.alaw(), [1, 2, 3]);
    }

    const SILENT: u8 = crate::media::SILENCE;

    #[test]
    fn a_file_that_is_no_prompt_is_refused_with_the_reason() {
        let fault = |file: &[u8]| Clip::from_wav(file).unwrap_err();
        assert_eq!(fault(b"ID3\x04 this is an MP3 file"), WavFault::NotWav);
        assert_eq!(fault(b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01"), WavFault::NotWav);
        assert_eq!(fault(b"RIFF\0\0\0\0WAVEdata\x02\0\0\0ab"), WavFault::NotWav);
        assert_eq!(fault(&wav(1, 2, 8000, 16, &[0; 8])), WavFault::Channels(2));
        assert_eq!(fault(&wav(1, 1, 44_100, 16, &[0; 8])), WavFault::Rate(44_100));
        assert_eq!(fault(&wav(3, 1, 8000, 32, &[0; 8])), WavFault::Format { tag: 3, bits: 32 });
        assert_eq!(fault(&wav(1, 1, 8000, 8, &[0; 8])), WavFault::Format { tag: 1, bits: 8 });
        assert_eq!(fault(&wav(6, 1, 8000, 8, &[])), WavFault::Empty);
        assert_eq!(fault(&wav(6, 1, 8000, 8, &vec![1; CLIP_LIMIT + 1])), WavFault::TooLong);
    }
}
