//! Memory for training on a processor.

/// Keeps the large buffers of past steps for the next ones. The standard
/// allocator of glibc gives each back to the system when it is dropped, and
/// a step drops hundreds; to map and clear them anew takes a fifth of a
/// small model's step.
pub(super) fn keep_buffers() {
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
