"""What the checks of requests let pass, and what they must not."""

from __future__ import annotations

import json
import sys
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import altered
import published
from tap import Request

CLAUDE = [("content-type", "application/json"), ("anthropic-version", "2023-06-01")]
MESSAGE = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}
CONVERSE = {"messages": [{"role": "user", "content": [{"text": "x"}]}]}
GENERATE = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
VERTEX = "/v1/projects/p/locations/l/publishers/google/models/m:generateContent"


def request(path: str, body: Any, headers: list[tuple[str, str]] | None = None) -> Request:
    path, _, query = path.partition("?")
    headers = headers or [("content-type", "application/json")]
    return Request("POST", path, query, tuple(headers), json.dumps(body).encode())


class Published(unittest.TestCase):
    def assert_good(self, provider: str, it: Request) -> None:
        self.assertEqual(published.problems(provider, it), [])

    def assert_bad(self, provider: str, it: Request, word: str) -> None:
        self.assertIn(word, " ".join(published.problems(provider, it)))

    def test_a_chat_is_what_openai_publishes(self) -> None:
        path = "/v1/chat/completions"
        chat = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
        self.assert_good("openai-compatible", request(path, chat))
        odd = {**chat, "messages": [{"role": "user", "content": "x", "odd": 1}]}
        self.assert_bad("openai-compatible", request(path, odd), "odd")
        self.assert_bad("openai-compatible", request(path, {**chat, "n": "1"}), "integer")
        self.assert_bad("openai-compatible", request(path + "?a=1", chat), "query")
        self.assert_bad("openai-compatible", request("/v1/chats", chat), "no operation")

    def test_azure_wants_a_version_and_takes_the_model_from_the_path(self) -> None:
        path = "/openai/deployments/m/chat/completions"
        chat = {"messages": [{"role": "user", "content": "x"}]}
        self.assert_good("azure-openai", request(path + "?api-version=2024-10-21", chat))
        self.assert_bad("azure-openai", request(path, chat), "api-version")

    def test_a_message_is_what_anthropic_publishes(self) -> None:
        self.assert_good("anthropic", request("/v1/messages", MESSAGE, CLAUDE))
        self.assert_bad("anthropic", request("/v1/messages", MESSAGE), "anthropic-version")
        limitless = {key: value for key, value in MESSAGE.items() if key != "max_tokens"}
        self.assert_bad("anthropic", request("/v1/messages", limitless, CLAUDE), "max_tokens")

    def test_a_conversation_is_what_aws_publishes(self) -> None:
        path = "/model/anthropic.m%3A0/converse"
        self.assert_good("bedrock", request(path, CONVERSE))
        self.assert_bad("bedrock", request(path, {**CONVERSE, "odd": 1}), "odd")
        picture = {"image": {"format": "png", "source": {"bytes": "not base64!"}}}
        odd = {"messages": [{"role": "user", "content": [picture]}]}
        self.assert_bad("bedrock", request(path, odd), "base64")

    def test_bedrock_carries_what_anthropic_publishes_without_model_and_stream(self) -> None:
        path = "/model/anthropic.m/invoke"
        body = {key: value for key, value in MESSAGE.items() if key != "model"}
        body["anthropic_version"] = "bedrock-2023-05-31"
        self.assert_good("bedrock", request(path, body))
        self.assert_bad("bedrock", request(path, {**body, "stream": True}), "stream")
        self.assert_bad("bedrock", request(path, {**body, "max_tokens": "1"}), "max_tokens")

    def test_contents_are_what_google_publishes(self) -> None:
        for provider, path in (("gemini", "/v1beta/models/m:generateContent"), ("vertex", VERTEX)):
            self.assert_good(provider, request(path, GENERATE))
            self.assert_bad(provider, request(path, {**GENERATE, "odd": 1}), "odd")
            config = {"generationConfig": {"maxOutputTokens": "many"}}
            self.assert_bad(provider, request(path, {**GENERATE, **config}), "maxOutputTokens")
            self.assert_bad(provider, request(path + "?odd=1", GENERATE), "query")


class Altered(unittest.TestCase):
    def differences(self, after: Request, names: dict[str, str] | None = None) -> str:
        return " ".join(altered.differences(self.sent, after, names or {}))

    def setUp(self) -> None:
        headers = [("authorization", "Bearer a"), ("x-stainless-lang", "python")]
        self.sent = request("/v1/chat/completions", {"model": "m", "stream": True}, headers)

    def test_credentials_and_what_envoy_adds_are_no_difference(self) -> None:
        headers = [("authorization", "***"), ("x-stainless-lang", "python"), ("x-request-id", "1")]
        after = request("/v1/chat/completions", {"model": "m", "stream": True}, headers)
        self.assertEqual(self.differences(after), "")

    def test_a_lost_header_and_a_changed_path_are_differences(self) -> None:
        after = request("/v1/completions", {"model": "m", "stream": True}, [("accept", "x")])
        found = self.differences(after)
        self.assertIn("path", found)
        self.assertIn("x-stainless-lang", found)

    def test_only_what_the_policy_asks_for_may_change_in_a_body(self) -> None:
        def after(**members: Any) -> Request:
            body = {"model": "m", "stream": True, **members}
            return request(self.sent.path, body, list(self.sent.headers))

        self.assertEqual(self.differences(after(stream_options={"include_usage": True})), "")
        self.assertEqual(self.differences(after(model="n"), {"m": "n"}), "")
        self.assertIn("/model", self.differences(after(model="n")))
        self.assertIn("/seed", self.differences(after(seed=1)))


if __name__ == "__main__":
    unittest.main()
