"""Scale's own client drives `taskloom simulate`: what it downloads are the tasks that `taskloom generate` writes.

The client's models are stricter than the API: they refuse attachments, annotations without all of `id`, `key` and
`type`, and words they don't know. So pages are taken raw from the client, compared as they are, and then parsed task by task.
"""

import json
import os
import subprocess
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import pytest
from conftest import REPOSITORY, taskloom
from scaleapi.api_client.v2 import ApiClient, Configuration, V2Api
from scaleapi.api_client.v2.exceptions import BadRequestException, NotFoundException, UnauthorizedException
from scaleapi.api_client.v2.models.batch_status import BatchStatus
from scaleapi.api_client.v2.models.expandable_enum_batch import ExpandableEnumBatch
from scaleapi.api_client.v2.models.expandable_enum_deliveries import ExpandableEnumDeliveries
from scaleapi.api_client.v2.models.expandable_enum_delivery import ExpandableEnumDelivery
from scaleapi.api_client.v2.models.expandable_enum_task import ExpandableEnumTask
from scaleapi.api_client.v2.models.option import Option
from scaleapi.api_client.v2.models.task import Task
from scaleapi.api_client.v2.models.task_status import TaskStatus

TASKS, SEED, KEY = "300", "1", "test_of_the_client"


@pytest.fixture(scope="module")
def url():
    """Where a simulated API listens while the tests run."""
    binary = REPOSITORY / os.environ.get("TASKLOOM_BIN", "target/debug/taskloom")
    arguments = ["simulate", "--tasks", TASKS, "--seed", SEED, "--port", "0", "--key", KEY]
    with subprocess.Popen([binary, *arguments], stdout=subprocess.PIPE, encoding="utf-8") as process:
        words = process.stdout.readline().split()
        yield next(word for word in words if word.startswith("SCALE_API_URL=")).removeprefix("SCALE_API_URL=")
        process.terminate()
        assert process.wait() == 0


@pytest.fixture(scope="module")
def api(url):
    return V2Api(ApiClient(Configuration(host=url, access_token=KEY)))


@pytest.fixture(scope="module")
def generated():
    """The tasks by id, as the API gives them when nothing is to be expanded."""
    lines = taskloom("generate", "--tasks", TASKS, "--seed", SEED).splitlines()
    return {task["task_id"]: unexpanded(task) for task in map(exactly, lines)}


@dataclass(frozen=True)
class Number:
    """A number as it is spelled."""

    text: str


def exactly(text):
    """Parses JSON and keeps how numbers are spelled."""
    return json.loads(text, parse_int=Number, parse_float=Number)


def unexpanded(task):
    ids = {key: task[key]["id"] for key in ("project", "batch") if isinstance(task.get(key), dict)}
    return task | ids


def raw_pages(ask, name, read=exactly, **parameters):
    """The entities of all pages of a query."""
    entities, token = [], None
    while True:
        page = read(ask(next_token=token, **parameters).data)
        entities += page[name]
        token = page.get("next_token")
        if token is None:
            return entities


def tasks_of(api, **parameters):
    """The tasks of a query by id, with all details."""
    tasks = raw_pages(api.get_tasks_without_preload_content, "tasks", opts=list(Option), **parameters)
    assert max(Counter(task["task_id"] for task in tasks).values(), default=1) == 1
    return {task["task_id"]: task for task in tasks}


def batches_of(api):
    batches, token = [], None
    while True:
        page = api.get_batches(limit=7, next_token=token)
        batches += page.batches
        token = page.next_token
        if token is None:
            return batches


def test_projects_hold_every_task_exactly_as_it_was_generated(api, generated):
    found = {}
    for project in api.get_projects().projects:
        assert api.get_project(project_name=project.name) == project
        tasks = tasks_of(api, project_id=project.id, limit=17)
        assert all(task["project"] == project.id for task in tasks.values())
        assert tasks_of(api, project_name=project.name).keys() == tasks.keys()
        found |= tasks
    assert found == generated


def test_batches_hold_every_task_that_has_one(api, generated):
    batches = batches_of(api)
    assert len(batches) == 20
    found = {}
    for batch in batches:
        tasks = tasks_of(api, batch_id=batch.id)
        assert all(task["batch"] == batch.id for task in tasks.values())
        assert tasks_of(api, batch_name=batch.name).keys() == tasks.keys()
        found |= tasks
    assert found == {id: task for id, task in generated.items() if task.get("batch") is not None}


def test_batches_are_found_by_name_project_and_status(api):
    batches = batches_of(api)
    for status in BatchStatus:
        expected = [batch.id for batch in batches if batch.status == status]
        assert [batch.id for batch in api.get_batches(status=status).batches] == expected
    of_one = api.get_batches(project_id="project_001", expand=[ExpandableEnumBatch.PROJECT]).batches
    assert len(of_one) == 5
    project = api.get_project(project_id="project_001")
    assert all(batch.project.actual_instance == project for batch in of_one)
    assert api.get_batch(batch_name=of_one[0].name).id == of_one[0].id
    assert api.get_batch(batch_id=of_one[0].id).project.actual_instance == "project_001"


def test_statuses_select_their_tasks(api, generated):
    for status in TaskStatus:
        found = {}
        for project in ["project_000", "project_001", "project_002", "project_003"]:
            found |= tasks_of(api, project_id=project, status=status)
        assert found == {id: task for id, task in generated.items() if task["status"] == status.value}


def test_slices_of_completion_time_hold_every_completed_task_once(api, generated):
    of_project = [task for task in generated.values() if task["project"] == "project_000" and task.get("completed_at")]
    cuts = sorted(datetime.fromisoformat(task["completed_at"]) for task in of_project)[::10]
    found = Counter()
    for start, end in zip([None, *cuts], [*cuts, None]):
        tasks = tasks_of(api, project_id="project_000", completed_after=start, completed_before=end)
        found.update(tasks.keys())
    assert found == Counter(task["task_id"] for task in of_project)


# What the client's models have no place for in the generated tasks.
UNKNOWN_FIELDS = {("task", "priority"), ("messages", "latency_ms"), ("metadata", "group"), ("metadata", "weight")}


def assert_told(model, given, place):
    """The client made of a value all that it says, but for nulls and fields that its models don't have."""
    if isinstance(given, dict):
        model = model.to_dict() if hasattr(model, "to_dict") else model
        assert model.keys() <= given.keys(), place
        for key, value in given.items():
            if model.get(key) is None:
                assert value is None or (place, key) in UNKNOWN_FIELDS, (place, key)
            else:
                assert_told(model[key], value, key)
    elif isinstance(given, list):
        assert len(model) == len(given), place
        for one, other in zip(model, given):
            assert_told(one, other, place)
    elif isinstance(model, datetime):
        assert model == datetime.fromisoformat(given), place
    elif isinstance(model, Enum):
        assert model.value == given, place
    else:
        assert (type(model), model) == (type(given), given), place


def test_the_models_of_the_client_take_tasks_and_lose_nothing_that_they_know(api, generated):
    parsed = 0
    everything = {"opts": list(Option), "expand": list(ExpandableEnumTask)}
    for project in api.get_projects().projects:
        ask = api.get_tasks_without_preload_content
        for task in raw_pages(ask, "tasks", read=json.loads, project_id=project.id, **everything):
            try:
                model = Task.from_dict(task)
            except (ValueError, TypeError):
                continue
            parsed += 1
            assert model.project.actual_instance == project
            assert_told(model.to_dict(), task, "task")
    assert parsed > 0.85 * len(generated)


def test_pages_of_tasks_without_threads_are_parsed_by_the_client(api, generated):
    found = 0
    for project in api.get_projects().projects:
        for status in [TaskStatus.PENDING, TaskStatus.CANCELED, TaskStatus.DELETED]:
            for model in api.get_tasks(project_id=project.id, status=status, limit=100).tasks:
                assert api.get_task(model.task_id) == model
                assert not model.threads
                assert model.status.value == generated[model.task_id]["status"]
                found += 1
    assert found > 0


def test_tasks_with_attachments_keep_them_unless_they_ask_for_less(api, generated):
    def attachments(task):
        messages = (m for thread in task.get("threads") or [] for turn in thread["turns"] for m in turn["messages"])
        return [file for message in messages for file in message["content"].get("attachments") or []]

    with_files = [task for task in generated.values() if attachments(task)]
    assert with_files
    for task in with_files:
        assert exactly(api.get_task_without_preload_content(task["task_id"], opts=list(Option)).data) == task
        bare = exactly(api.get_task_without_preload_content(task["task_id"]).data)
        assert [file.get("url") for file in attachments(bare)] == [file.get("url") for file in attachments(task)]
        assert not any("name" in file or "transcript" in file for file in attachments(bare))


def test_deliveries_hold_every_completed_task_once(api, generated):
    deliveries = api.get_deliveries(expand=[ExpandableEnumDeliveries.PROJECT]).deliveries
    found = Counter()
    for delivery in deliveries:
        project = delivery.project.actual_instance
        ask = api.get_delivery_without_preload_content
        tasks = raw_pages(ask, "tasks", delivery_id=delivery.id, limit=30, opts=list(Option))
        assert len(tasks) == delivery.task_count
        assert all(task == generated[task["task_id"]] and task["project"] == project.id for task in tasks)
        page = exactly(ask(delivery_name=delivery.name, project_name=project.name, limit=1).data)
        assert page["delivery"] == delivery.id
        found.update(task["task_id"] for task in tasks)

        answer = api.get_delivery_tasks(delivery_id=delivery.id)
        assert answer.total == len(answer.docs)
        assert {doc.task_id for doc in answer.docs} == {task["task_id"] for task in tasks}
        assert all(doc.delivery_id == delivery.id and "threads" in doc.response for doc in answer.docs)
    assert found == Counter(id for id, task in generated.items() if task["status"] == "completed")
    cut = deliveries[0].delivered_at
    before, after = api.get_deliveries(delivered_before=cut), api.get_deliveries(delivered_after=cut)
    assert len(before.deliveries) + len(after.deliveries) == len(deliveries)


def test_a_delivery_is_expanded_on_demand(api):
    delivery = api.get_deliveries(project_id="project_002").deliveries[0]
    ask = api.get_delivery_without_preload_content
    page = exactly(ask(delivery_id=delivery.id, limit=1, expand=[ExpandableEnumDelivery.DELIVERY]).data)
    assert page["delivery"]["name"] == delivery.name
    assert page["tasks"][0]["project"] == "project_002"


def test_a_wrong_key_is_refused(url):
    wrong = V2Api(ApiClient(Configuration(host=url, access_token="live_wrong")))
    with pytest.raises(UnauthorizedException) as refused:
        wrong.get_projects()
    assert json.loads(refused.value.body)["status_code"] == 401


def test_bad_requests_and_unknown_ids_are_the_errors_that_the_client_knows(api):
    with pytest.raises(BadRequestException) as refused:
        api.get_tasks()
    assert "project_id" in json.loads(refused.value.body)["error"]
    for query, exception in [
        ([("project_id", "project_000"), ("limit", "101")], BadRequestException),
        ([("project_id", "project_000"), ("limit", "0")], BadRequestException),
        ([("project_id", "project_000"), ("expand", "nothing")], BadRequestException),
        ([("project_id", "nobody")], NotFoundException),
    ]:
        with pytest.raises(exception):
            ask(api.api_client, "/v2/tasks", query)
    with pytest.raises(NotFoundException):
        api.get_task("nobody")


def ask(client, path, query):
    """Sends what the client's methods would not: they check some parameters themselves."""
    request = client.param_serialize("GET", path, query_params=query, auth_settings=["bearerAuth"])
    response = client.call_api(*request)
    response.read()
    return client.response_deserialize(response, {"200": "object"})

