//! People of the directory prove their number by calling ours, named by card or by sign-in.

use std::time::Duration;

use dozvon_tests::gateway::{Engine, Gateway, Setup, last_step};
use dozvon_tests::phones::Phones;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);
const PHONE: &str = "+79164500001";
const OURS: &str = "cli_trusted = true\n\
                    \n[accounts.default]\npools = [\"all\"]\ndefault_region = \"RU\"\n\
                    inbound_numbers = [\"+74951250000-+74951250009\"]\n\
                    [purposes.sign_up]\nworkflow = [\"incoming_call\"]\n";

#[tokio::test]
async fn a_user_of_the_directory_proves_the_phone_of_the_card_by_calling() {
    let phones = Phones::ring().await;
    let setup = Setup::new(Engine::Sqlite).static_trunk("north", phones.address()).with(OURS);
    let gateway = Gateway::start(setup).await;
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let card = json!({"name": "Anna", "phone": PHONE, "email": "anna@field.example"});
    let user = gateway.api().post("/v1/directory/users", &card).await.expect(201).json();
    let begun = json!({"identifier": "anna@field.example"});
    let sign_in = gateway.api().post("/v1/sign-ins", &begun).await.expect(201).json();
    for (call_id, to) in [("by-card", &user["id"]), ("by-sign-in", &sign_in["id"])] {
        let body = json!({"to": to, "purpose": "sign_up", "channels": ["incoming_call"]});
        let created = gateway.api().post("/v1/verifications", &body).await.expect(201).json();
        let number = text(&created["incoming_call"]["number"]);
        let call = (PHONE, number.as_str(), call_id);
        assert_eq!(phones.call(gateway.sip(), call, LIMIT).await, Some(603));
        let approved = |seen: &Value| seen["status"] == "approved";
        let seen = gateway.until(&text(&created["id"]), approved).await;
        assert_eq!(last_step(&seen)["status"], "called", "{seen:#}");
        assert_eq!(seen["user_id"], user["id"], "{seen:#}");
    }
    let path = format!("/v1/sign-ins/{}", text(&sign_in["id"]));
    assert_eq!(gateway.api().get(&path).await.expect(200).json()["status"], "completed");
}
