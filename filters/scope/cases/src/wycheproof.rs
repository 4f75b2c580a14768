//! The tokens of Project Wycheproof's vectors, as any client could send them.

use serde_json::Value;

const FILES: [&str; 3] = [
    include_str!("../../tests/wycheproof/json_web_signature_test.json"),
    include_str!("../../tests/wycheproof/json_web_key_test.json"),
    include_str!("../../tests/wycheproof/json_web_crypto_test.json"),
];

/// Every `jws` and `jwe` in its compact form: what is not text cannot stand in a header.
#[must_use]
pub fn tokens() -> Vec<String> {
    let mut tokens = Vec::new();
    for file in FILES {
        let file: Value = serde_json::from_str(file).expect("vectors");
        let groups = file["testGroups"].as_array().expect("groups").iter();
        let vectors = groups.flat_map(|group| group["tests"].as_array().expect("vectors"));
        for vector in vectors {
            let shown = [&vector["jws"], &vector["jwe"]];
            tokens.extend(
                shown
                    .iter()
                    .filter_map(|token| token.as_str().map(str::to_owned)),
            );
        }
    }
    tokens
}
