//! Mails of administrators, and the outbox.

use axum::http::StatusCode;
use sekisho::mail::{Mail, outbox};
use sekisho::policy_file;
use serde_json::{Value, json};

use crate::provisioning::are_on_record;
use crate::service::{Answer, As, Service};
use crate::world::policy_json;

const PATH: &str = "/v1/notifications/email";

/// Mails wait: nobody brings them anywhere.
async fn service() -> Service {
    let service = Service::new().await;
    let mut file = policy_json();
    file["mail"] = json!({"server": "127.0.0.1:9", "tls": "none", "sender": "sekisho@example.com"});
    let file = policy_file::parse(&file.to_string()).unwrap();
    let mail = Mail::new(file.sections.mail.unwrap(), "Example", &service.world.clock).unwrap();
    service.api.mail_with(mail);
    service
}

async fn send(service: &Service, key: &str, body: Value) -> Answer {
    let headers = [("idempotency-key", key)];
    service
        .call_headed(As::Administrator, "POST", PATH, &headers, Some(body))
        .await
}

fn mails(answer: &Answer) -> &Vec<Value> {
    answer.body["mails"].as_array().unwrap()
}

#[tokio::test]
async fn a_mail_to_some_people_is_one_for_each_and_once_for_each_key() {
    let service = service().await;
    let body = json!({"to": ["ops@example.com", "ops@example.com"], "users": ["003"],
                      "subject": "停止のお知らせ", "text": "今夜、停止します。"});
    let sent = send(&service, "a", body.clone()).await;
    assert_eq!(sent.status, StatusCode::ACCEPTED, "{}", sent.text);
    let to: Vec<_> = mails(&sent).iter().map(|mail| mail["to"].clone()).collect();
    assert_eq!(to, [json!("ops@example.com"), json!("taro@example.com")]);
    assert_eq!(mails(&sent)[0]["state"], "waiting");
    let again = send(&service, "a", body.clone()).await;
    assert_eq!(again.body, sent.body);
    let mut other = body.clone();
    other["text"] = "another".into();
    let reused = send(&service, "a", other).await;
    assert_eq!(reused.status, StatusCode::UNPROCESSABLE_ENTITY);
    send(&service, "b", body).await;
    let listed = service.get(As::Auditor, &format!("{PATH}?limit=3")).await;
    assert_eq!(mails(&listed).len(), 3);
    let next = listed.body["next"].as_str().unwrap();
    let rest = service
        .get(As::Auditor, &format!("{PATH}?cursor={next}&state=waiting"))
        .await;
    assert_eq!(mails(&rest).len(), 1);
    assert!(!listed.text.contains("今夜"), "{}", listed.text);
    let record = are_on_record(&service, &["notification.email"]).await;
    assert!(
        !record.contains("ops@") && !record.contains("停止"),
        "{record}"
    );
}

#[tokio::test]
async fn what_cannot_be_sent_is_told_and_nothing_is_put_there() {
    let service = service().await;
    let fine = json!({"to": ["ops@example.com"], "subject": "x", "text": "y"});
    for (member, value, why) in [
        ("to", json!([]), "must name 1 to 500 recipients"),
        ("to", json!(["ops"]), "`to[0]` must be one e-mail address"),
        (
            "users",
            json!(["999"]),
            "`users[0]`: the directory has no such person",
        ),
        (
            "subject",
            json!("x\r\nBcc: all@example.com"),
            "a subject is one line",
        ),
        ("subject", json!(""), "a subject is one line"),
    ] {
        let mut body = fine.clone();
        body[member] = value;
        let refused = send(&service, "a", body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{why}");
        assert!(refused.text.contains(why), "{}", refused.text);
    }
    let listed = service.get(As::Auditor, PATH).await;
    assert_eq!(mails(&listed).len(), 0);
    let without = Service::new().await;
    let refused = send(&without, "a", fine).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_refused_mail_is_tried_again_and_a_notice_by_its_job() {
    let service = service().await;
    let store = &service.world.store;
    let body = json!({"to": ["ops@example.com"], "subject": "x", "text": "y"});
    let id = mails(&send(&service, "a", body).await)[0]["id"].clone();
    let retry = format!("{PATH}/{}/retry", id.as_str().unwrap());
    let set = async |sql: &'static str| {
        sqlx::query(sql).execute(store.pool()).await.unwrap();
    };
    set("UPDATE mail_outbox SET state = 2, ended_at = 5, code = 550, trouble = 'never'").await;
    let refused = service
        .get(As::Auditor, &format!("{PATH}?state=refused"))
        .await;
    assert_eq!(mails(&refused)[0]["code"], 550);
    let again = service.call(As::Administrator, "POST", &retry, None).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.text);
    assert_eq!(again.body["state"], "waiting");
    assert_eq!(
        outbox::count(store, outbox::State::Waiting).await.unwrap(),
        1
    );
    are_on_record(&service, &["notification.retry"]).await;
    for (sql, why) in [
        ("UPDATE mail_outbox SET state = 1", "has taken it"),
        (
            "UPDATE mail_outbox SET state = 2, body = ''",
            "not known any more",
        ),
        ("UPDATE mail_outbox SET state = 2, at_once = 1", "the job"),
    ] {
        set(sql).await;
        let refused = service.call(As::Administrator, "POST", &retry, None).await;
        assert_eq!(refused.status, StatusCode::CONFLICT);
        assert!(refused.text.contains(why), "{}", refused.text);
    }
    let unknown = format!("{PATH}/none/retry");
    let unknown = service
        .call(As::Administrator, "POST", &unknown, None)
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}
