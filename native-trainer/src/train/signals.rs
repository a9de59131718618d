//! Signals that ask a run to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_default};

/// Whether somebody has asked the run to stop, and how.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop {
    asked: Arc<AtomicBool>,
    interrupted: Arc<AtomicBool>,
}

impl Stop {
    /// Listens from now on.
    pub(super) fn listen() -> Result<Self> {
        let stop = Self::default();
        for signal in [SIGINT, SIGTERM] {
            // A second signal ends the process the hard way.
            register_conditional_default(signal, Arc::clone(&stop.asked))?;
            register(signal, Arc::clone(&stop.asked))?;
        }
        register(SIGINT, Arc::clone(&stop.interrupted))?;
        // A terminal that closes may say so twice: no second one ends the process here.
        #[cfg(unix)]
        if !is_ignored(signal_hook::consts::SIGHUP) {
            register(signal_hook::consts::SIGHUP, Arc::clone(&stop.asked))?;
        }
        Ok(stop)
    }

    /// Whether a signal has come.
    pub(super) fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Ends the process as an interrupt ends it, now that everything is saved: a shell
    /// sees status 130, and a loop in it stops. Does nothing if there was none.
    pub(super) fn pass_on(&self) {
        if !self.interrupted.load(Ordering::Relaxed) {
            return;
        }
        // A shell goes on with its loop after a process that exits by itself.
        if cfg!(unix) {
            let _ = signal_hook::low_level::emulate_default_handler(SIGINT);
        }
        std::process::exit(130);
    }
}

/// Whether a signal is ignored, as `nohup` has it: then it is to stay so.
#[cfg(unix)]
fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action the call only writes the present one, which is read
    // where the call has succeeded.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
