//! A user as Graph shows it, and as it is written.

use sekisho_domain::UserId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::provisioning::{Account, AccountSpec, ObjectId, UserName};

/// The members that are asked for.
pub(in crate::entra) const SELECT: &str = "id,employeeId,userPrincipalName,mailNickname,\
    displayName,mail,otherMails,department,jobTitle,businessPhones,accountEnabled";

/// A user; every member but `id` may be `null`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::entra) struct User {
    id: String,
    employee_id: Option<String>,
    user_principal_name: Option<String>,
    mail_nickname: Option<String>,
    display_name: Option<String>,
    mail: Option<String>,
    other_mails: Option<Vec<String>>,
    department: Option<String>,
    job_title: Option<String>,
    business_phones: Option<Vec<String>>,
    account_enabled: Option<bool>,
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        let first = |list: Option<Vec<String>>| list.unwrap_or_default().into_iter().next();
        let text = Option::unwrap_or_default;
        Self {
            id: ObjectId(user.id),
            spec: AccountSpec {
                employee: UserId(text(user.employee_id)),
                user_name: UserName(text(user.user_principal_name).to_lowercase()),
                mail_nickname: text(user.mail_nickname),
                display_name: text(user.display_name),
                mail: text(first(user.other_mails).or(user.mail)),
                department: text(user.department),
                job_title: text(user.job_title),
                phone: text(first(user.business_phones)),
                enabled: user.account_enabled.unwrap_or_default(),
            },
        }
    }
}

/// What is written of an account, but for `accountEnabled`. The address goes to `otherMails`:
/// `mail` is Exchange's wherever there is a mailbox.
pub(super) fn written(spec: &AccountSpec) -> Value {
    let given = |text: &str| match text {
        "" => Value::Null,
        text => text.into(),
    };
    let list = |text: &str| match text {
        "" => json!([]),
        text => json!([text]),
    };
    json!({
        "employeeId": spec.employee.as_str(),
        "userPrincipalName": spec.user_name.0,
        "mailNickname": spec.mail_nickname,
        "displayName": spec.display_name,
        "otherMails": list(&spec.mail),
        "department": given(&spec.department),
        "jobTitle": given(&spec.job_title),
        "businessPhones": list(&spec.phone),
    })
}

/// A password that is to be changed at the next sign-in.
pub(super) fn password_profile(password: &str) -> Value {
    json!({"password": password, "forceChangePasswordNextSignIn": true})
}
