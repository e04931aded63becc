//! A compact binary encoding of features: lists of whole numbers as LEB128 varints.

/// A type that is encoded as whole numbers. Decoding an encoded value gives an equal one.
pub trait Encode: Sized {
    /// Appends all fields.
    fn encode(&self, out: &mut Encoder);

    /// Reads the fields in the order of [`Encode::encode`]. `None` if the numbers are not those of a value.
    fn decode(numbers: &mut Decoder) -> Option<Self>;
}

/// Encodes a list of values, with their number first.
pub fn encode<T: Encode>(list: &[T]) -> Vec<u8> {
    let mut out = Encoder::default();
    out.push(list.len());
    list.iter().for_each(|value| value.encode(&mut out));
    out.0
}

/// Decodes [`encode`]. `None` if the bytes are not such a list, or more follow.
pub fn decode<T: Encode>(bytes: &[u8]) -> Option<Vec<T>> {
    let mut numbers = Decoder(bytes);
    let count = numbers.count()?;
    let list = (0..count).map(|_| T::decode(&mut numbers)).collect::<Option<Vec<T>>>()?;
    numbers.0.is_empty().then_some(list)
}

/// Writes unsigned LEB128: seven bits in each byte, the lowest first; the eighth bit says that more bytes follow.
#[derive(Default)]
pub struct Encoder(Vec<u8>);

impl Encoder {
    /// Appends a number.
    pub fn push(&mut self, mut number: usize) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Appends a list with its length.
    pub fn list(&mut self, list: &[u32]) {
        self.push(list.len());
        list.iter().for_each(|n| self.push(*n as usize));
    }

    /// Appends a list with long runs of equal values, such as token types, run-length encoded.
    pub fn runs(&mut self, list: &[u32]) {
        let runs: Vec<&[u32]> = list.chunk_by(|a, b| a == b).collect();
        self.push(runs.len());
        for run in runs {
            self.push(run[0] as usize);
            self.push(run.len());
        }
    }
}

/// Reads what an [`Encoder`] wrote. Every method returns `None` where the bytes end early or make no such value.
pub struct Decoder<'a>(&'a [u8]);

impl Decoder<'_> {
    /// The next number.
    pub fn number(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(number).ok();
            }
        }
        None
    }

    /// The length of a list, if the remaining bytes can hold so many elements.
    pub fn count(&mut self) -> Option<usize> {
        self.number().filter(|count| *count <= self.0.len())
    }

    /// The next list.
    pub fn list(&mut self) -> Option<Vec<u32>> {
        let count = self.count()?;
        (0..count).map(|_| u32::try_from(self.number()?).ok()).collect()
    }

    /// The next run-length encoded list.
    pub fn runs(&mut self) -> Option<Vec<u32>> {
        let count = self.count()?;
        let mut list = Vec::new();
        for _ in 0..count {
            let value = u32::try_from(self.number()?).ok()?;
            // The limit keeps a damaged file from allocating too much memory.
            let length = self.number().filter(|length| *length <= LONGEST_RUN)?;
            list.resize(list.len() + length, value);
        }
        Some(list)
    }
}

/// The maximum length of a run; no sequence is longer.
const LONGEST_RUN: usize = 1 << 24;

impl Encode for Vec<u32> {
    fn encode(&self, out: &mut Encoder) {
        out.list(self);
    }

    fn decode(numbers: &mut Decoder) -> Option<Self> {
        numbers.list()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::features::Feature;
    use super::super::pairs::Sequence;
    use super::*;
    use crate::text::windows::Window;

    fn ids() -> impl Strategy<Value = Vec<u32>> {
        vec(prop_oneof![0u32..4, any::<u32>()], 0..40)
    }

    fn feature() -> impl Strategy<Value = Feature> {
        let number = || prop_oneof![0usize..600, any::<usize>()];
        let offsets = vec((number(), number()), 0..40);
        let window = (ids(), ids(), number(), offsets);
        let window = window.prop_map(|(ids, types, context_start, offsets)| Window {
            ids,
            types,
            context_start,
            offsets,
        });
        (number(), window, (number(), number())).prop_map(|(question, window, answer)| Feature {
            question,
            window,
            answer,
        })
    }

    fn sequence() -> impl Strategy<Value = Sequence> {
        (ids(), ids(), any::<usize>(), any::<bool>()).prop_map(|(ids, types, label, truncated)| Sequence {
            ids,
            types,
            label,
            truncated,
        })
    }

    fn again<T: Encode>(list: &[T]) -> Vec<T> {
        decode(&encode(list)).expect("an encoded list")
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

        // All types that implement `Encode`, with any values in their fields.
        #[test]
        fn what_is_decoded_equals_what_was_encoded(
            features in vec(feature(), 0..6),
            sequences in vec(sequence(), 0..6),
            lists in vec(ids(), 0..6),
        ) {
            prop_assert_eq!(again(&features), features);
            prop_assert_eq!(again(&sequences), sequences);
            prop_assert_eq!(again(&lists), lists);
        }
    }
}
