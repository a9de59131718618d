//! What a training run asks of the operating system.

/// Keeps the large buffers of past steps for the next ones. The standard
/// allocator of glibc gives each back to the system when it is dropped, and
/// a step drops hundreds; to map and clear them anew takes a fifth of a
/// small model's step.
pub(crate) fn keep_buffers() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// Above any tensor of a step that a processor is worth using for.
        const LARGE: libc::c_int = 1 << 30;
        // SAFETY: mallopt sets parameters of the allocator and may be called
        // at any time; it reports unknown parameters by its result, and
        // training works without them.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
            libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE);
        }
    }
}

/// Makes a limit on the size of files an error of the write that meets it,
/// like a full disk, in place of a signal that ends the process wordlessly.
pub(super) fn survive_full_files() {
    #[cfg(unix)]
    // SAFETY: ignoring a signal runs no handler; where it fails the process
    // only keeps the system's default.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

/// Processor time of all threads of this process, in seconds; where the
/// system does not say, none.
pub(crate) fn cpu_seconds() -> Option<f64> {
    #[cfg(target_os = "linux")]
    {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the call writes one timespec, which outlives it.
        let status = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
        (status == 0).then_some(time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9)
    }
    #[cfg(not(target_os = "linux"))]
    None
}
