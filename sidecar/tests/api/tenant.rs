//! A tenant of Entra ID that has the people of the service.

use sekisho::clock::Clock;
use sekisho::entra::{EntraAccounts, EntraSync};
use sekisho::ledger::Calendar;
use sekisho::policy_file;
use sekisho_demo_graph::{Settings, StandIn};
use serde_json::{Value, json};

use crate::service::Service;
use crate::world::policy_json;

pub(crate) const TENANT: &str = "8f3a1c52-6b7e-4d0f-9a21-5e6c7d8091ab";
pub(crate) const CHOIR: &str = "33333333-3333-4333-a333-333333333333";
/// Its members follow from a rule.
pub(crate) const RULED: &str = "88888888-8888-4888-a888-888888888888";
pub(crate) const TARO: &str = "00000000-0000-4000-8000-000000000003";

pub(crate) struct Tenant {
    pub(crate) graph: StandIn,
    _secret: tempfile::TempDir,
}

impl Tenant {
    /// Has the service's people and becomes its directory.
    pub(crate) async fn start(service: &Service) -> Self {
        let settings = Settings {
            secret: "hush".to_owned(),
            domains: vec!["example.com".to_owned()],
        };
        let graph = StandIn::new(settings, None).unwrap();
        graph.add_group(CHOIR, "合唱団", json!({}));
        graph.add_group(
            RULED,
            "全社員",
            json!({"groupTypes": ["DynamicMembership"]}),
        );
        let people = [
            ("001", "ichiro", "Ichiro", "Sales", true),
            ("002", "hanako", "Hanako", "People", true),
            ("003", "taro", "Taro", "Sales", true),
            ("004", "yuko", "Yuko", "People", false),
        ];
        for (employee, name, display_name, department, enabled) in people {
            let address = format!("{name}@example.com");
            let id = format!("00000000-0000-4000-8000-000000000{employee}");
            let members = json!({
                "employeeId": employee, "userPrincipalName": address, "mailNickname": name,
                "displayName": display_name, "otherMails": [address], "department": department,
                "jobTitle": null, "businessPhones": [], "accountEnabled": enabled,
            });
            graph.add_user(&id, members);
        }
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(graph.clone().serve(listener));
        let secret = tempfile::tempdir().unwrap();
        let file = secret.path().join("secret");
        std::fs::write(&file, "hush").unwrap();
        let mut policy = policy_json();
        policy["issuers"][0]["tenant"] = TENANT.into();
        policy["entra"] = json!({
            "tenant": TENANT, "client_id": "sekisho", "authority": at, "graph": at,
            "client_secret": {"secret_file": file},
        });
        let parsed = policy_file::parse(&policy.to_string()).unwrap();
        let config = parsed.sections.entra.unwrap();
        let accounts = EntraAccounts::new(&config, &Clock::system()).unwrap();
        let world = &service.world;
        let calendar = Calendar::new("Asia/Tokyo").unwrap();
        service.api.with_tenant(EntraSync::new(
            accounts.graph().clone(),
            // Of the service's people.
            "t".to_owned(),
            world.store.clone(),
            world.hub.clone(),
            calendar,
            world.clock.clone(),
        ));
        Self {
            graph,
            _secret: secret,
        }
    }

    pub(crate) fn user(&self, id: &str) -> Value {
        let mut users = self.graph.users().into_iter();
        users.find(|user| user["id"] == id).unwrap()
    }
}
