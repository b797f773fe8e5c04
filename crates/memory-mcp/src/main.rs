//! The `memory-mcp` binary: see the library's [`cli`](memory_mcp::cli).

/// Decoding episodes is many small allocations; measured faster than the system's allocator.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Huge pages stay resident as long as anything on them is in use, and entries of the cache come and go
/// everywhere: with them the process takes 17 MiB more at the default cache size.
#[cfg(target_os = "linux")]
fn avoid_huge_pages() {
    // A kernel without the setting has nothing to turn off.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(not(target_os = "linux"))]
fn avoid_huge_pages() {}

fn main() -> std::process::ExitCode {
    avoid_huge_pages();
    memory_mcp::cli::main()
}
