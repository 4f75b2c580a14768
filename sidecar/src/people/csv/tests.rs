use jiff::civil::date;
use serde_json::json;

use super::*;

const HEADER: &str = "user_id,name,email,department,job_title,phone,start_date,end_date,status";

fn policy() -> Policy {
    Policy::parse(json!({
        "version": 1, "organisation": "x", "time_zone": "Asia/Tokyo", "currency": "JPY",
        "scopes": {"all": null}, "apis": [],
        "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                     "jwks_uri": "https://i.example/keys"}],
        "departments": [{"id": "sales", "name": "営業部"}, {"id": "hr", "name": "人事部"}],
    }))
    .unwrap()
}

fn rows(file: &str) -> Vec<Row> {
    read(file.as_bytes(), &policy()).unwrap()
}

fn problems(file: &str) -> Vec<String> {
    let problems = read(file.as_bytes(), &policy()).unwrap_err();
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
fn bytes_that_are_not_utf8_are_a_problem_of_their_column() {
    let mut file = format!("{HEADER}\n001,").into_bytes();
    file.extend([0x8e, 0x52]); // CP932
    file.extend(b",t@example.com,sales,,,2023/04/01,,active\n");
    let problems = read(&file, &policy()).unwrap_err();
    assert_eq!(problems[0].column, Some("name"));
}
