//! The command line, run as its users run it.

#![expect(clippy::unwrap_used, reason = "what is missing fails the test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sekisho(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sekisho"))
        .args(arguments)
        .current_dir(repository())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn file(name: &str, content: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("sekisho-{}-{name}", std::process::id()));
    std::fs::write(&path, content).unwrap();
    path
}

/// `SEKISHO_UPDATE=1 cargo test -p sekisho --test commands` writes it anew.
#[test]
fn the_committed_envoy_configuration_is_what_render_prints() {
    let rendered = sekisho(&[
        "render",
        "envoy",
        "--policy",
        "examples/demo/sekisho.yaml",
        "--filters",
        "/etc/sekisho/filters",
        "--secrets",
        "/etc/sekisho/secrets",
        "--listen",
        "0.0.0.0:10000",
    ]);
    assert!(rendered.status.success());
    let path = repository().join("envoy/envoy.yaml");
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let fresh = stdout(&rendered);
    if std::env::var_os("SEKISHO_UPDATE").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    assert!(
        committed == fresh,
        "envoy/envoy.yaml is stale: run with SEKISHO_UPDATE=1"
    );
}

#[test]
fn the_policies_of_the_examples_have_no_problems() {
    for policy in ["examples/demo/sekisho.yaml", "examples/entra/sekisho.yaml"] {
        let checked = sekisho(&["check", policy]);
        assert!(checked.status.success(), "{}", stdout(&checked));
    }
}

#[test]
fn six_mistakes_in_a_policy_are_six_problems() {
    let policy = std::fs::read_to_string(repository().join("examples/demo/sekisho.yaml")).unwrap();
    let wrong = policy
        .replace("currency: JPY", "currency: yen")
        .replace("time_zone: Asia/Tokyo", "time_zone: Asia/Tokio")
        .replace("operations: [audio_speech,", "operations: [audio_speach,")
        .replace(
            "{id: hr-requests, department: hr,",
            "{id: hr-requests, department: hrr,",
        )
        .replacen("max_output_tokens: 8192", "max_output_tokens: 0", 1)
        .replace("request_body_bytes:", "request_body_byte:");
    let path = file("wrong.yaml", &wrong);
    let checked = sekisho(&["check", path.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(1));
    let text = stdout(&checked);
    for place in [
        "currency:",
        "time_zone:",
        "apis[1].operations[0]:",
        "budgets[3].department:",
        "apis[7].models[0].max_output_tokens:",
        "limits.request_body_byte:",
    ] {
        assert!(text.contains(place), "{place} is not in\n{text}");
    }
    assert_eq!(text.lines().count(), 7, "{text}");
}

#[test]
fn a_csv_with_a_broken_row_imports_nothing_and_names_row_and_column() {
    let people = std::fs::read_to_string(repository().join("examples/demo/people.csv")).unwrap();
    let path = file(
        "people.csv",
        &people.replace("hanako.suzuki@example.com", "hanako"),
    );
    let database = std::env::temp_dir().join(format!("sekisho-{}-people.db", std::process::id()));
    let url = format!("sqlite:{}", database.display());
    let import = |csv: &Path| {
        let csv = csv.to_str().unwrap();
        sekisho(&[
            "users",
            "import",
            csv,
            "--policy",
            "examples/demo/sekisho.yaml",
            "--db",
            &url,
        ])
    };
    let broken = import(&path);
    assert_eq!(broken.status.code(), Some(1));
    assert!(
        stdout(&broken).contains("line 3, column `email`"),
        "{}",
        stdout(&broken)
    );
    assert!(!stdout(&broken).contains("created"), "{}", stdout(&broken));
    let sound = import(Path::new("examples/demo/people.csv"));
    assert!(stdout(&sound).contains("created 5"), "{}", stdout(&sound));
}

#[test]
fn the_recipient_is_that_of_a_folder_with_keys_and_none_is_made_by_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("no-such").join("state");
    let named = state.to_str().unwrap();
    let refused = sekisho(&["keys", "recipient", "--state", named]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    assert!(said.contains(named) && said.contains("--create"), "{said}");
    assert!(!state.exists(), "nothing was made");
    let empty = sekisho(&[
        "keys",
        "recipient",
        "--state",
        folder.path().to_str().unwrap(),
    ]);
    assert!(!empty.status.success(), "an empty folder is no state");
    let made = sekisho(&["keys", "recipient", "--state", named, "--create"]);
    assert!(made.status.success());
    let again = sekisho(&["keys", "recipient", "--state", named]);
    assert!(again.status.success());
    assert!(stdout(&made).starts_with("age1"));
    assert_eq!(stdout(&made), stdout(&again));
}
