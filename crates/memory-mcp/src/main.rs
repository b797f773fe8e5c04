//! The `memory-mcp` binary: see the library's [`cli`](memory_mcp::cli).

/// Decoding episodes is many small allocations; measured faster than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    memory_mcp::cli::main()
}
