//! The directory: who works here, in which department, from when to when.
//!
//! The identity of a person is (tenant, object id), as tokens state it. A CSV file of the
//! nine columns that personnel departments know has no object id: the embedded directory
//! then gives one, [`embedded_object_id`].

pub mod characters;
pub mod csv;
pub mod encoding;
pub mod formula;
pub mod import;
pub mod plan;
pub mod sealed;
pub mod watch;

use jiff::civil::Date;
use sekisho_domain::{DepartmentId, UnixMillis, UserId};
use sekisho_link::v1;
use uuid::Uuid;

/// A person of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The company's own id.
    pub id: UserId,
    /// Tenant of the account, lower case.
    pub tenant: String,
    /// Object id of the account, lower case.
    pub object_id: String,
    /// Full name.
    pub name: String,
    /// E-mail address, lower case.
    pub email: String,
    /// Where the person works.
    pub department: DepartmentId,
    /// Job title; empty: none.
    pub job_title: String,
    /// Telephone; empty: none.
    pub phone: String,
    /// First day of use.
    pub start: Date,
    /// Last day of use.
    pub end: Option<Date>,
    /// What the personnel department says: the account's status.
    pub enabled: bool,
    /// Whether an administrator has disabled the account for the time being; an import
    /// does not lift that.
    pub suspended: bool,
    /// When the person's sessions were revoked last: tokens that were issued before are
    /// refused. 0: never.
    pub tokens_valid_from: UnixMillis,
}

impl Person {
    /// Whether the person may call on this day.
    #[must_use]
    pub fn active_on(&self, today: Date) -> bool {
        self.enabled
            && !self.suspended
            && self.start <= today
            && self.end.is_none_or(|end| today <= end)
    }

    /// What a filter needs to know on this day.
    #[must_use]
    pub fn to_link(&self, today: Date) -> v1::User {
        v1::User {
            tenant: self.tenant.clone(),
            object_id: self.object_id.clone(),
            id: self.id.0.clone(),
            department: self.department.0.clone(),
            active: self.active_on(today),
            title: self.job_title.clone(),
            tokens_valid_from: self.tokens_valid_from.0,
        }
    }
}

/// The object id of a person for whom none was given: UUID version 5 (RFC 9562, section
/// 5.5) of the lower-case e-mail address in the namespace of the tenant's UUID. `None` if
/// the tenant is no UUID.
#[must_use]
pub fn embedded_object_id(tenant: &str, email: &str) -> Option<String> {
    let namespace = Uuid::parse_str(tenant).ok()?;
    let name = email.to_lowercase();
    Some(Uuid::new_v5(&namespace, name.as_bytes()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn person() -> Person {
        Person {
            id: "001".into(),
            tenant: "8f3a1c52-6b7e-4d0f-9a21-5e6c7d8091ab".into(),
            object_id: "o".into(),
            name: "山田太郎".into(),
            email: "taro.yamada@example.com".into(),
            department: "sales".into(),
            job_title: String::new(),
            phone: String::new(),
            start: date(2023, 4, 1),
            end: Some(date(2023, 6, 30)),
            enabled: true,
            suspended: false,
            tokens_valid_from: UnixMillis(0),
        }
    }

    #[test]
    fn a_person_is_active_from_the_first_day_to_the_last() {
        let person = person();
        for (day, active) in [
            (date(2023, 3, 31), false),
            (date(2023, 4, 1), true),
            (date(2023, 6, 30), true),
            (date(2023, 7, 1), false),
        ] {
            assert_eq!(person.active_on(day), active, "{day}");
        }
    }

    #[test]
    fn status_and_suspension_each_make_a_person_inactive() {
        let day = date(2023, 5, 1);
        assert!(
            !Person {
                enabled: false,
                ..person()
            }
            .active_on(day)
        );
        assert!(
            !Person {
                suspended: true,
                ..person()
            }
            .active_on(day)
        );
    }

    #[test]
    fn the_embedded_object_id_is_a_version_5_uuid_of_the_address() {
        // uuid.uuid5(uuid.UUID("8f3a1c52-..."), "taro.yamada@example.com") of Python
        let expected = "556fc153-ce60-5b45-af68-b18e4b55e918";
        let id = embedded_object_id(&person().tenant, "Taro.Yamada@example.com");
        assert_eq!(id.as_deref(), Some(expected));
        assert_eq!(embedded_object_id("contoso", "a@b.example"), None);
    }
}
