use jiff::civil::date;
use serde_json::json;

use super::*;
use crate::people::Person;

const HEADER: &str = "user_id,name,email,department,job_title,phone,start_date,end_date,status";

fn policy() -> Policy {
    Policy::parse(json!({
        "version": 1, "organisation": "x", "time_zone": "Asia/Tokyo", "currency": "JPY",
        "scopes": {"all": null}, "apis": [],
        "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                     "jwks_uri": "https://i.example/keys"}],
        "departments": [{"id": "sales", "name": "営業部"}, {"id": "hr", "name": "人事部"}],
        "titles": [{"id": "chief", "name": "Chief", "entitlements": ["all"]}],
    }))
    .unwrap()
}

fn rows(file: &str) -> Vec<Row> {
    read(file.as_bytes(), &policy(), &Rules::default())
        .whole()
        .unwrap()
}

fn problems(file: &str) -> Vec<String> {
    let problems = read(file.as_bytes(), &policy(), &Rules::default()).problems;
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn the_columns_of_the_requirement_are_read() {
    let rows = rows(&format!(
        "{HEADER}\n001,山田太郎,Taro.Yamada@example.com,営業部,主任,03-1234-5678,2023/04/01,,active\n\
         004,田中裕子,yuko@example.com,hr,,,2023-04-01,2023/6/30,inactive\n"
    ));
    assert_eq!(rows[0].line, 2);
    assert_eq!(rows[0].email, "taro.yamada@example.com");
    assert_eq!(rows[0].department, DepartmentId::from("sales"));
    assert_eq!(
        (rows[0].start, rows[0].end, rows[0].enabled),
        (date(2023, 4, 1), None, true)
    );
    assert_eq!(rows[1].department, DepartmentId::from("hr"));
    assert_eq!(
        (rows[1].end, rows[1].enabled),
        (Some(date(2023, 6, 30)), false)
    );
    assert_eq!(rows[1].object_id, None);
}

#[test]
fn a_byte_order_mark_and_another_order_of_columns_change_nothing() {
    let rows = rows(
        "\u{feff}status,object_id,user_id,name,email,department,job_title,phone,start_date,end_date\r\n\
         active,3D1F0A6E-2C54-4B8E-9F17-0A5B6C7D8E01,001,\"Yamada, Taro\",t@example.com,sales,,,2023/04/01,\r\n",
    );
    assert_eq!(rows[0].name, "Yamada, Taro");
    assert_eq!(
        rows[0].object_id.as_deref(),
        Some("3d1f0a6e-2c54-4b8e-9f17-0a5b6c7d8e01")
    );
}

#[test]
fn every_wrong_value_is_named_by_line_and_column_and_masked() {
    let file = format!(
        "{HEADER}\n001,Taro,taro.example.com,営業部,,,2023/02/30,,active\n\
         001,Hanako,h@example.com,購買部,,call me,2023/04/01,2023/03/01,on\n\
         003,=SUM(A1),H@example.com,,,,,,\n"
    );
    assert_eq!(
        problems(&file),
        [
            "line 2, column `email`: `t***` is not an e-mail address",
            "line 2, column `start_date`: `2***` is not a day as `2023/04/01` or `2023-04-01`",
            "line 3, column `user_id`: `0***` is on line 2 already",
            "line 3, column `department`: `購***` is no department of the policy",
            "line 3, column `phone`: `c***` is not a telephone number",
            "line 3, column `end_date`: `2***` is before `start_date`",
            "line 3, column `status`: `o***` is neither `active` nor `inactive`",
            "line 4, column `name`: `=***` begins as a spreadsheet formula does",
            "line 4, column `email`: `h***` is on line 3 already",
            "line 4, column `department`: must not be empty",
            "line 4, column `start_date`: must not be empty",
            "line 4, column `status`: must not be empty",
        ]
    );
}

#[test]
fn a_row_of_another_length_is_a_problem() {
    let file = format!("{HEADER}\n001,Taro\n");
    assert_eq!(problems(&file), ["line 2: has 2 values, the header has 9"]);
}

#[test]
fn missing_unknown_and_double_columns_are_problems() {
    let file = "user_id,name,name,email,department,job_title,phone,start_date,end_date,password\n";
    let problems = problems(file);
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[test]
fn a_file_without_people_is_a_problem() {
    assert_eq!(problems("").len(), 1);
    assert_eq!(problems(HEADER).len(), 1);
}

#[test]
fn a_file_of_cp932_is_read_to_the_letter() {
    let text = format!("{HEADER}\r\n001,髙橋健一,t@example.com,営業部,,,2023/04/01,,有効\r\n");
    let (file, _, unmappable) = encoding_rs::SHIFT_JIS.encode(&text);
    assert!(!unmappable);
    let reading = read(&file, &policy(), &Rules::default());
    assert_eq!(reading.encoding, Some(Encoding::Cp932));
    let rows = reading.whole().unwrap();
    assert_eq!((rows[0].name.as_str(), rows[0].enabled), ("髙橋健一", true));
}

#[test]
fn bytes_of_no_encoding_are_a_problem_of_their_line() {
    let mut file = format!("{HEADER}\n001,").into_bytes();
    file.extend([0xff, 0xfe]);
    file.extend(b",t@example.com,sales,,,2023/04/01,,active\n");
    let reading = read(&file, &policy(), &Rules::default());
    let [problem] = reading.problems.as_slice() else {
        panic!("{:?}", reading.problems);
    };
    assert_eq!(problem.to_string(), "line 2: is neither UTF-8 nor CP932");
}

#[test]
fn every_kind_of_wrong_value_is_found() {
    let row = |column: usize, value: &str| {
        let mut values = [
            "001",
            "Taro",
            "t@example.com",
            "sales",
            "Chief",
            "03-1",
            "2023/04/01",
            "",
            "active",
        ];
        values[column] = value;
        let quoted: Vec<String> = values
            .iter()
            .map(|v| format!("\"{}\"", v.replace('"', "\"\"")))
            .collect();
        format!("{HEADER}\n{}\n", quoted.join(","))
    };
    const COLUMNS: [&str; 9] = [
        "user_id",
        "name",
        "email",
        "department",
        "job_title",
        "phone",
        "start_date",
        "end_date",
        "status",
    ];
    let long = "a".repeat(300);
    for (column, value, reason) in [
        (0, "", "must not be empty"),
        (0, "a/b", "may have ASCII letters"),
        (0, "社員1", "may have ASCII letters"),
        (0, "12345678901234567", "is longer than 16 characters"),
        (1, "", "must not be empty"),
        (
            1,
            "=cmd|' /C calc'!A0",
            "begins as a spreadsheet formula does",
        ),
        (1, "'=1+1", "begins as a spreadsheet formula does"),
        (1, "山\u{e000}", "private use"),
        (1, "a\u{202e}b", "invisible"),
        (1, "a\nb", "line break"),
        (1, "a\u{0}b", "control character"),
        (1, long.as_str(), "is longer than 256 characters"),
        (2, "", "must not be empty"),
        (2, "a@b", "is not an e-mail address"),
        (2, "a b@c.example", "is not an e-mail address"),
        (2, "a@b@c.example", "is not an e-mail address"),
        (3, "", "must not be empty"),
        (3, "購買部", "is no department of the policy"),
        (4, long.as_str(), "is longer than 128 characters"),
        (4, "部長", "is no title of the policy"),
        (5, "call me", "is not a telephone number"),
        (5, "０３", "is not a telephone number"),
        (6, "", "must not be empty"),
        (6, "2023/02/29", "is not a day"),
        (6, "04/01/2023", "is not a day"),
        (6, "令和5年", "is not a day"),
        (7, "2023/03/31", "is before `start_date`"),
        (7, "soon", "is not a day"),
        (8, "", "must not be empty"),
        (8, "on", "is neither `active` nor `inactive`"),
    ] {
        let file = row(column, value);
        let reading = read(
            file.as_bytes(),
            &policy(),
            &Rules {
                known_titles: true,
                ..Rules::default()
            },
        );
        assert!(reading.rows.is_empty(), "{value:?} was taken");
        let problem = reading.problems.first().unwrap();
        let is_that = |problem: &RowProblem| problem.column == Some(COLUMNS[column]);
        assert!(
            reading.problems.iter().all(is_that),
            "{:?}",
            reading.problems
        );
        assert!(problem.reason.contains(reason), "{value:?}: {problem}");
        assert!(
            value.chars().count() < 2 || !problem.to_string().contains(value),
            "{problem}"
        );
    }
}

#[test]
fn of_rows_with_the_same_id_none_is_taken() {
    let file = format!(
        "{HEADER}\n001,A,a@x.example,sales,,,2023/04/01,,active\n\
         002,B,b@x.example,sales,,,2023/04/01,,active\n\
         001,C,c@x.example,sales,,,2023/04/01,,active\n"
    );
    let reading = read(file.as_bytes(), &policy(), &Rules::default());
    let taken: Vec<&str> = reading.rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(
        (taken, reading.problems.len(), reading.total),
        (vec!["002"], 1, 3)
    );
}

#[test]
fn what_is_written_can_be_read_again_and_runs_nowhere() {
    let person = |id: &str, name: &str, phone: &str| Person {
        id: id.into(),
        tenant: "t".into(),
        object_id: format!("00000000-0000-4000-8000-000000000{id}"),
        name: name.into(),
        email: format!("p{id}@example.com"),
        department: "sales".into(),
        job_title: "＝部長".into(),
        phone: phone.into(),
        start: date(2023, 4, 1),
        end: Some(date(2030, 3, 31)),
        enabled: true,
        suspended: false,
        tokens_valid_from: sekisho_domain::UnixMillis(0),
    };
    let people = [
        person("001", "山田, \"太郎\"", "+81-3-1234"),
        person("002", "葛\u{e0100}城", "-1"),
    ];
    let file = write(&people, &policy()).unwrap();
    let text = std::str::from_utf8(&file).unwrap();
    assert!(
        text.contains(",'+81-3-1234,") && text.contains(",'＝部長,"),
        "{text}"
    );
    let rows = read(&file, &policy(), &Rules::default()).whole().unwrap();
    for (row, person) in rows.iter().zip(&people) {
        assert_eq!(
            (&row.name, &row.phone, &row.job_title),
            (&person.name, &person.phone, &person.job_title)
        );
        assert_eq!(
            (row.end, row.object_id.as_ref()),
            (person.end, Some(&person.object_id))
        );
    }
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_file_is_too_odd(file in prop::collection::vec(any::<u8>(), 0..400)) {
            let reading = read(&file, &policy(), &Rules::default());
            prop_assert!(!reading.problems.is_empty() || reading.rows.len() == reading.total);
        }

        #[test]
        fn rows_under_a_header_are_right_or_wrong(rows in "[,\"\n0-9a-z@.=山\u{e000} /-]{0,300}") {
            let reading = read(format!("{HEADER}\n{rows}").as_bytes(), &policy(), &Rules::default());
            prop_assert!(reading.rows.len() <= reading.total);
            prop_assert!(!reading.problems.is_empty() || !reading.rows.is_empty());
        }

        #[test]
        fn names_are_kept_to_the_letter(name in "[ぁ-んァ-ヶ一-龠a-zA-Zé＝][ぁ-んァ-ヶ一-龠a-zA-Z'\u{3000},\"-]{0,40}[一-龠]") {
            let mut writer = csv::Writer::from_writer(format!("{HEADER}\n").into_bytes());
            writer.write_record(["1", &name, "a@x.example", "hr", "", "", "2023-04-01", "", "active"]).unwrap();
            let file = writer.into_inner().unwrap();
            let rows = read(&file, &policy(), &Rules::default()).whole().unwrap();
            prop_assert_eq!(&rows[0].name, &name);
        }
    }
}
