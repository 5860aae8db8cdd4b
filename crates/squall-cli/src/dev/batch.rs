//! Lines of a file or a pipe, in batches that one PutRecords call takes.

use std::io::{self, BufRead, BufReader, Read};

/// The most lines of a batch: what one call takes.
const MAX_LINES: usize = 500;
/// The most bytes of a batch: what one call takes. A line may be as long, and is a batch by itself then.
const MAX_BYTES: usize = 5 << 20;

/// A line and its number, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
}

/// Reads batches. A batch ends early where the next line would have to be waited for, so that lines from
/// a pipe go on as they come.
pub(super) struct Batches<R> {
    reader: BufReader<R>,
    number: u64,
    /// A line that did not fit any more.
    left: Option<Line>,
}

impl<R: Read> Batches<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            reader: BufReader::with_capacity(64 << 10, from),
            number: 0,
            left: None,
        }
    }

    /// Reads the next batch; an empty one at the end. Blocks.
    pub(super) fn read(&mut self) -> io::Result<Vec<Line>> {
        let mut batch = Vec::new();
        let mut n_bytes = 0;
        while batch.len() < MAX_LINES {
            let Some(line) = self.line()? else {
                break;
            };
            n_bytes += line.bytes.len();
            if n_bytes > MAX_BYTES && !batch.is_empty() {
                self.left = Some(line);
                break;
            }
            batch.push(line);
            if !self.reader.buffer().contains(&b'\n') {
                break;
            }
        }
        Ok(batch)
    }

    /// Reads the next line that isn't empty; `None` at the end.
    fn line(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.left.take() {
            return Ok(Some(line));
        }
        loop {
            let mut bytes = Vec::new();
            let mut bounded = (&mut self.reader).take(MAX_BYTES as u64 + 1);
            if bounded.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            let number = self.number;
            if bytes.len() > MAX_BYTES {
                let error = format!("line {number} is longer than {MAX_BYTES} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            let end = bytes.trim_ascii_end().len();
            bytes.truncate(end);
            if !bytes.is_empty() {
                return Ok(Some(Line { number, bytes }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(text: &[u8]) -> Vec<usize> {
        let mut batches = Batches::new(text);
        let read = || batches.read().unwrap();
        let batches = std::iter::repeat_with(read).take_while(|batch| !batch.is_empty());
        batches.map(|batch| batch.len()).collect()
    }

    #[test]
    fn a_batch_is_what_one_call_takes() {
        assert_eq!(sizes(b""), [0; 0]);
        assert_eq!(sizes(&b"x\n".repeat(1200)), [500, 500, 200]);
        // The buffer holds no line as long as these: each is waited for.
        let long = [b"x".repeat(2 << 20), b"\n".to_vec()].concat().repeat(3);
        assert_eq!(sizes(&long).iter().sum::<usize>(), 3);
    }

    #[test]
    fn lines_keep_their_numbers_and_lose_their_ends() {
        let mut batches = Batches::new(&b"a\r\n\n  \n b\nlast"[..]);
        let mut lines = Vec::new();
        loop {
            let batch = batches.read().unwrap();
            if batch.is_empty() {
                break;
            }
            lines.extend(batch);
        }
        let lines: Vec<_> = lines
            .iter()
            .map(|line| (line.number, line.bytes.as_slice()))
            .collect();
        assert_eq!(lines, [(1, &b"a"[..]), (4, b" b"), (5, b"last")]);
    }

    #[test]
    fn what_fits_no_call_is_an_error_that_names_the_line() {
        let text = [b"short\n".to_vec(), b"x".repeat(MAX_BYTES + 1)].concat();
        let mut batches = Batches::new(text.as_slice());
        assert_eq!(batches.read().unwrap().len(), 1);
        let error = batches.read().unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    /// Gives a part at each read, as a pipe does.
    struct Pipe(Vec<&'static [u8]>);

    impl Read for Pipe {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let mut part = self.0.remove(0);
            part.read(to)
        }
    }

    #[test]
    fn lines_of_a_pipe_are_not_kept_back_until_a_batch_is_full() {
        let mut batches = Batches::new(Pipe(vec![b"a\nb\nc", b"c\n", b"d\n"]));
        let mut read = || batches.read().unwrap().len();
        assert_eq!([read(), read(), read(), read()], [2, 1, 1, 0]);
    }
}
