//! The page that shows a first password once: for people, not for programs.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::problem::Problem;
use crate::provisioning::notices::links::Shown;

const TEMPLATE: &str = include_str!("notice/page.html");
const STYLE: &str = include_str!("notice/page.css");
const SCRIPT: &str = include_str!("notice/page.js");

/// What the page shows.
pub(super) enum View<'a> {
    /// A button, and where the code goes.
    Ask,
    /// The code is wrong; so many tries are left.
    Wrong(i64),
    /// There is nothing any more.
    Gone,
    /// The password.
    Shown(&'a Shown),
}

/// What the template knows.
#[derive(Serialize)]
struct Words<'a> {
    style: &'static str,
    script: &'static str,
    organisation: &'a str,
    view: &'static str,
    left: i64,
    shown: Option<&'a Shown>,
}

impl View<'_> {
    const fn name(&self) -> (&'static str, StatusCode) {
        match self {
            Self::Ask => ("ask", StatusCode::OK),
            Self::Wrong(_) => ("wrong", StatusCode::FORBIDDEN),
            Self::Gone => ("gone", StatusCode::GONE),
            Self::Shown(_) => ("shown", StatusCode::OK),
        }
    }
}

/// The page, in both languages. Nobody keeps it, frames it or learns whence its reader came.
pub(super) fn page(organisation: &str, view: &View<'_>) -> Result<Response, Problem> {
    let (name, status) = view.name();
    let words = Words {
        style: STYLE,
        script: SCRIPT,
        organisation,
        view: name,
        left: match view {
            View::Wrong(left) => *left,
            _ => 0,
        },
        shown: match view {
            View::Shown(shown) => Some(shown),
            _ => None,
        },
    };
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let rendered = environment.render_str(
        TEMPLATE,
        context! { w => minijinja::Value::from(Serde(&words)) },
    );
    let rendered = rendered.map_err(|error| {
        // What it was filled with is not in it.
        tracing::error!(kind = ?error.kind(), "the page of notices cannot be written");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the page cannot be written",
        )
    })?;
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
        sha256(STYLE),
        sha256(SCRIPT)
    );
    let policy = HeaderValue::try_from(policy).map_err(|error| Problem::internal(&error))?;
    let headers: [(HeaderName, HeaderValue); 5] = [
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store, max-age=0"),
        ),
        (header::CONTENT_SECURITY_POLICY, policy),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            HeaderName::from_static("x-robots-tag"),
            HeaderValue::from_static("noindex, nofollow"),
        ),
    ];
    Ok((status, headers, Html(rendered)).into_response())
}

fn sha256(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text.as_bytes()))
}
