"""Bedrock's operations, by botocore's service model, which AWS publishes."""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
from typing import Any
from urllib.parse import parse_qsl, unquote

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator

from published import anthropic_api
from tap import Request


@functools.cache
def _service() -> ServiceModel:
    return botocore.session.get_session().get_service_model("bedrock-runtime")


def problems(request: Request) -> list[str]:
    found = _operation(request)
    if not found:
        return ["no operation that Bedrock publishes"]
    operation, parameters = found
    shape = operation.input_shape
    try:
        parameters |= _located(request, shape)
        payload = shape.serialization.get("payload")
        if payload:
            parameters[payload] = request.body
        else:
            parameters |= _python(json.loads(request.body), shape)
    except ValueError as error:
        return [str(error)]
    report = ParamValidator().validate(parameters, shape)
    told = report.generate_report().splitlines() if report.has_errors() else []
    if payload and str(parameters["modelId"]).find("anthropic.") >= 0:
        told += anthropic_api.problems_of_bedrock_body(request.body)
    return told


def _operation(request: Request) -> tuple[OperationModel, dict[str, Any]] | None:
    for name in _service().operation_names:
        operation = _service().operation_model(name)
        template = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", operation.http["requestUri"])
        match = re.fullmatch(template, request.path)
        if match and operation.http["method"] == request.method:
            names = {
                member.serialization.get("name", name): name
                for name, member in operation.input_shape.members.items()
                if member.serialization.get("location") == "uri"
            }
            return operation, {names[at]: unquote(text) for at, text in match.groupdict().items()}
    return None


def _located(request: Request, shape: Shape) -> dict[str, Any]:
    """The parameters that are headers or stand in the query."""
    found = {}
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    for name, member in shape.members.items():
        wire = member.serialization.get("name", name)
        if member.serialization.get("location") == "header":
            value = request.header(wire.lower())
        elif member.serialization.get("location") == "querystring":
            value = query.pop(wire, None)
        else:
            continue
        if value is not None:
            found[name] = value
    if query:
        raise ValueError(f"a query that is not published: {', '.join(query)}")
    return found


def _python(value: Any, shape: Shape) -> Any:
    """A JSON value as botocore's users write it: bytes are bytes, not base64."""
    if getattr(shape, "is_document_type", False):
        return value
    if shape.type_name == "structure" and isinstance(value, dict):
        members = {
            member.serialization.get("name", name): (name, member)
            for name, member in shape.members.items()
        }
        return {
            members[key][0] if key in members else key: _python(it, members[key][1])
            if key in members
            else it
            for key, it in value.items()
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_python(it, shape.member) for it in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {key: _python(it, shape.value) for key, it in value.items()}
    if shape.type_name == "blob" and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise ValueError(f"not base64: {error}") from error
    return value
