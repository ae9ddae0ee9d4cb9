//! The binary `pinhole`.

fn main() -> std::process::ExitCode {
    pinhole_scenarios::cli::main()
}
