//! The gRPC service of `link.proto`; its messages come from `sekisho-link`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=../filters/link/proto/link.proto");
    let files = protox::compile(["link.proto"], ["../filters/link/proto"])?;
    tonic_prost_build::configure()
        .extern_path(".sekisho.link.v1", "::sekisho_link::v1")
        .compile_fds(files)?;
    Ok(())
}
