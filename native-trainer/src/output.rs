//! What a command prints, for a reader who may go away in the middle of it.
//!
//! `println!` panics when its pipe is closed. Here that is no error: commands whose
//! product is a file go on, those whose product is their output look at [`gone`] and end.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The first failure of the standard output.
static FAILED: OnceLock<io::Error> = OnceLock::new();
/// Whether that does not matter.
static FORGIVEN: AtomicBool = AtomicBool::new(false);
/// Whether the standard output is for something else than lines.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Prints a line, as `println!` does.
macro_rules! outln {
    ($($part:tt)*) => { $crate::output::line(format_args!($($part)*)) };
}

/// Prints a line to the standard error output, as `eprintln!` does.
macro_rules! errln {
    ($($part:tt)*) => { $crate::output::error_line(format_args!($($part)*)) };
}

pub(crate) use {errln, outln};

/// Prints a line.
pub(crate) fn line(text: Arguments<'_>) {
    if TAKEN.load(Ordering::Relaxed) {
        return error_line(text);
    }
    // In one piece, so that the lines of several threads stay whole.
    let text = format!("{text}\n");
    if let Err(error) = io::stdout().lock().write_all(text.as_bytes()) {
        FAILED.get_or_init(|| error);
    }
}

/// Prints a line to the standard error output, where nothing can be said of a failure.
pub(crate) fn error_line(text: Arguments<'_>) {
    let _ = io::stderr()
        .lock()
        .write_all(format!("{text}\n").as_bytes());
}

/// Keeps the standard output for a file that is written there: lines go to the other one.
pub(crate) fn take_for_a_file() {
    TAKEN.store(true, Ordering::Relaxed);
}

/// Whether nobody gets to see what is printed.
pub(crate) fn gone() -> bool {
    FAILED.get().is_some()
}

/// Makes what could not be printed no failure of the command.
pub(crate) fn forgive() {
    FORGIVEN.store(true, Ordering::Relaxed);
}

/// Why something printed did not arrive, unless its reader has closed the pipe.
pub(crate) fn failure() -> Option<&'static io::Error> {
    let failed = FAILED.get().filter(|_| !FORGIVEN.load(Ordering::Relaxed));
    failed.filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
}
