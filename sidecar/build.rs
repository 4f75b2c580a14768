//! The gRPC service of `link.proto`, whose messages come from `sekisho-link`, and that of
//! Envoy's access log.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=../filters/link/proto/link.proto");
    let files = protox::compile(["link.proto"], ["../filters/link/proto"])?;
    tonic_prost_build::configure()
        .extern_path(".sekisho.link.v1", "::sekisho_link::v1")
        .compile_fds(files)?;
    println!("cargo::rerun-if-changed=proto/access_log.proto");
    let files = protox::compile(["access_log.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .build_client(false)
        .compile_fds(files)?;
    Ok(())
}
