//! Foreign functions.

use super::support::{WORKER, builder, get, plugin, said, two};

#[test]
fn clearing_the_route_cache_counts_and_is_ok() {
    let Some(mut host) = two() else { return };
    let stream = host.request(
        WORKER,
        get("a.rqh=foreign:clear_route_cache,set:x-a:1,del:x-b"),
    );
    assert_eq!(said(&host, stream)[1], "foreign clear_route_cache Ok(None)");
    assert_eq!(host.route_cache_clears(stream), 3);
}

#[test]
fn a_function_that_the_proxy_lacks_is_not_found() {
    let Some(builder) = builder() else { return };
    let host = builder
        .plugin(plugin("a", "va", ""))
        .without_foreign_function("verify_signature");
    let mut host = host.build().unwrap();
    let stream = host.request(
        WORKER,
        get("rqh=foreign:verify_signature,foreign:expr_create"),
    );
    let said = said(&host, stream);
    assert_eq!(said[1], "foreign verify_signature Err(NotFound)");
    assert_eq!(said[2], "foreign expr_create Err(NotFound)");
}

#[test]
fn arguments_that_are_no_message_or_no_key_are_bad() {
    let Some(mut host) = two() else { return };
    let stream = host.request(WORKER, get("a.rqh=foreign:verify_signature:garbage"));
    assert_eq!(
        said(&host, stream)[1],
        "foreign verify_signature Err(BadArgument)"
    );
}
