//! The page that shows a first password once.

use axum::http::StatusCode;
use sekisho::provisioning::notices::links::{self, Link, Shown};
use sekisho_domain::UnixMillis;
use zeroize::Zeroizing;

use crate::provisioning::are_on_record;
use crate::service::{As, Service};

const PASSWORD: &str = "<b>aB2&\"";

async fn link(service: &Service) -> Link {
    let shown = Shown {
        user_name: "taro@example.com".to_owned(),
        password: PASSWORD.to_owned(),
        sign_in_url: "https://in.example/".to_owned(),
    };
    let expires_at = UnixMillis(service.world.clock.now().0 + 3_600_000);
    let random = Zeroizing::new(std::array::from_fn(|at| u8::try_from(at).unwrap()));
    let made = links::make(&service.world.store, "003", &shown, expires_at, &random).await;
    made.unwrap()
}

#[tokio::test]
async fn whoever_only_looks_uses_nothing_up_and_the_button_shows_the_password_once() {
    let service = Service::new().await;
    let link = link(&service).await;
    let path = format!("/v1/notices/{}", link.id);
    for method in ["GET", "HEAD", "GET"] {
        let looked = service.call(As::Nobody, method, &path, None).await;
        assert_eq!(looked.status, StatusCode::OK);
        assert!(!looked.text.contains("aB2"));
    }
    let looked = service.get(As::Nobody, &path).await;
    assert!(looked.text.contains("<form method=\"post\""));
    assert!(looked.text.contains("表示する") && looked.text.contains("Show"));
    // One that nobody made looks the same.
    let other = service.get(As::Nobody, "/v1/notices/none").await;
    assert_eq!(looked.text, other.text);
    for answer in [&looked, &other] {
        assert_eq!(answer.headers["cache-control"], "no-store, max-age=0");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    let send = async |code: &str| {
        let form = format!("code={code}").into_bytes();
        service.send_file(As::Nobody, &path, form).await
    };
    let wrong = send("wrong").await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert!(wrong.text.contains("Tries left: 4"), "{}", wrong.text);
    let shown = send(&link.code).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text);
    assert!(
        shown.text.contains("&lt;b&gt;aB2&amp;&quot;"),
        "{}",
        shown.text
    );
    assert!(shown.text.contains("taro@example.com"));
    let again = send(&link.code).await;
    assert_eq!(again.status, StatusCode::GONE);
    assert!(!again.text.contains("aB2"));
    are_on_record(&service, &["notice.reveal"]).await;
}

#[tokio::test]
async fn a_link_that_is_tried_too_often_is_destroyed_on_record() {
    let service = Service::new().await;
    let link = link(&service).await;
    let path = format!("/v1/notices/{}", link.id);
    for expected in [403, 403, 403, 403, 410, 410] {
        let answer = service
            .send_file(As::Nobody, &path, b"code=x".to_vec())
            .await;
        assert_eq!(answer.status.as_u16(), expected);
    }
    let right = format!("code={}", link.code.as_str()).into_bytes();
    let right = service.send_file(As::Nobody, &path, right).await;
    assert_eq!(right.status, StatusCode::GONE);
    are_on_record(&service, &["notice.destroy"]).await;
}
