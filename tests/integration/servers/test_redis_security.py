"""The routing table, the gateway's keys and leases by TLS, as a user, by Sentinel and in a cluster."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisError
from stage.certificates import Certificates
from stage.servers.kafka import eventually
from stage.servers.secure_redis import RedisProcess, cluster, sentinels, tls_redis

from jitr.agents.runtime.lease import lease
from jitr.cli.table import rows
from jitr.cli.verbs.keys import _asked
from jitr.router.callers.keyring import Keyring, Used
from jitr.router.servers.redis import connect
from jitr.router.snapshot import Snapshot
from jitr.router.table import RouteTable, key
from jitr.schemas.errors import ConfigError, UnavailableError
from jitr.schemas.rights import redis_rights
from jitr.schemas.routes import Route, RouteVersion
from jitr.schemas.sections import StateSettings
from jitr.schemas.servers import RedisSettings
from jitr.schemas.settings import Settings

pytestmark = [pytest.mark.redis_server, pytest.mark.usefixtures("redis_with_tls")]
Start = Callable[..., RedisProcess]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def route(n: int, tenant: str = "default") -> Route:
    return Route(tenant=tenant, task=f"t{n}", version=RouteVersion(offset=n))


def settings_at(redis: RedisSettings, folder: Path) -> Settings:
    return Settings(redis=redis, state=StateSettings(root=str(folder / "state")))


@asynccontextmanager
async def following(settings: Settings) -> AsyncIterator[Snapshot]:
    snapshot = Snapshot(settings)
    await snapshot.start()
    try:
        yield snapshot
    finally:
        await snapshot.stop()


def seen(snapshot: Snapshot, task: str) -> bool:
    view = snapshot.view("default")
    return not isinstance(view, str) and task in view.routes


async def whole_use(gateway: Settings, worker: Settings) -> None:
    """All that gateway and workers do with Redis, through the settings of each."""
    client = connect(worker.redis)
    table = RouteTable(client, worker.redis.prefix)
    async with following(gateway) as snapshot:
        await eventually(lambda: snapshot.ready)
        for n in range(3):
            assert await table.apply_route(route(n))
            await eventually(lambda n=n: seen(snapshot, f"t{n}"))
        # other tenants lie in other slots of a cluster
        assert await table.apply_routes([route(n, f"tenant-{n}") for n in range(20)]) == 20
        assert (await table.load("tenant-7")).routes
        ring = Keyring(snapshot.redis, gateway.redis.prefix)
        made, _ = await ring.create("acme", requests_per_min=60)
        await ring.restore([made])
        assert (await ring.revoke(made.id)).revoked and await ring.epoch()
        assert (await ring.use({made.id: Used(1, 0.5)}, 7, 7))[made.id].usd == 0.5
        assert await ring.usd_today(7) == {made.id: 0.5}
    async with lease(client, f"{worker.redis.prefix}jitr:lease:training:t1"):
        assert not await client.set(f"{worker.redis.prefix}jitr:lease:training:t1", "other", nx=True)
    assert await client.set(f"{worker.redis.prefix}jitr:lease:training:t1", "other", nx=True, px=1)
    await client.aclose()


async def test_tls_and_users_with_exactly_the_documented_rights(
    certificates: Certificates, tmp_path: Path, free_ports: Callable[[int], list[int]], closing: ExitStack
) -> None:
    (port,) = free_ports(1)
    users = [f"user {right.part} on >pw-{right.part} {right.rules}" for right in redis_rights("acme.")]
    closing.callback(tls_redis(tmp_path / "redis", port, certificates, users).close)
    of = {
        part: settings_at(
            RedisSettings(
                url=f"rediss://{part}:pw-{part}@127.0.0.1:{port}/0",
                ca_file=str(certificates.ca),
                prefix="acme.",
            ),
            tmp_path,
        )
        for part in ("gateway", "worker", "operator")
    }
    await whole_use(of["gateway"], of["worker"])
    found = await asyncio.to_thread(rows, of["operator"], "default")
    assert set(found.routes) == {"t0", "t1", "t2"}
    made, _ = await asyncio.to_thread(_asked, of["operator"], lambda ring: ring.create("acme"))
    assert made.tenant == "acme"
    client = connect(of["gateway"].redis)
    # a gateway may neither move a route, nor read what is not jitr's
    with pytest.raises(RedisError, match=r"NOPERM|permission"):
        await RouteTable(client, "acme.").apply_route(route(9))
    with pytest.raises(RedisError, match=r"NOPERM|permission"):
        await client.get("somebody's")
    await client.aclose()


async def test_one_right_fewer_is_named(
    certificates: Certificates, tmp_path: Path, free_ports: Callable[[int], list[int]], closing: ExitStack
) -> None:
    (port,) = free_ports(1)
    (rules,) = (right.rules for right in redis_rights() if right.part == "operator")
    users = [f"user operator on >pw {rules} -hgetall"]
    closing.callback(tls_redis(tmp_path / "redis", port, certificates, users).close)
    redis = RedisSettings(url=f"rediss://operator:pw@127.0.0.1:{port}", ca_file=str(certificates.ca))
    with pytest.raises(UnavailableError, match=r"refuses a command .*hgetall.*jitr doctor --acls") as told:
        await asyncio.to_thread(rows, settings_at(redis, tmp_path), "default")
    assert "pw" not in str(told.value)


async def test_mutual_tls_and_what_is_wrong_with_it(
    certificates: Certificates, tmp_path: Path, free_ports: Callable[[int], list[int]], closing: ExitStack
) -> None:
    (port,) = free_ports(1)
    closing.callback(tls_redis(tmp_path / "redis", port, certificates, mutual=True).close)
    good = {
        "url": f"rediss://127.0.0.1:{port}/0",
        "ca_file": str(certificates.ca),
        "cert_file": str(certificates.client),
        "key_file": str(certificates.client_key),
    }
    settings = settings_at(RedisSettings(**good), tmp_path)
    await whole_use(settings, settings)
    wrong = {
        r"redis.ca_file must name": {"ca_file": str(certificates.stranger)},
        r"redis.cert_file (set where it asks for one|one that it takes)": {"cert_file": "", "key_file": ""},
        r"is it running": {"url": f"rediss://127.0.0.1:{port + 1}/0"},
    }
    for says, changes in wrong.items():
        with pytest.raises(UnavailableError, match=says):
            await asyncio.to_thread(
                rows, settings_at(RedisSettings(**{**good, **changes}), tmp_path), "default"
            )
    with pytest.raises(ConfigError, match=r"redis.ca_file: there is no file"):
        connect(RedisSettings(**{**good, "ca_file": "/nowhere.pem"}))


async def test_a_wrong_password_is_named(
    certificates: Certificates, tmp_path: Path, free_ports: Callable[[int], list[int]], closing: ExitStack
) -> None:
    (port,) = free_ports(1)
    closing.callback(tls_redis(tmp_path / "redis", port, certificates, ["user me on >right ~* +@all"]).close)
    redis = RedisSettings(url=f"rediss://me:not-it@127.0.0.1:{port}", ca_file=str(certificates.ca))
    with pytest.raises(UnavailableError, match=r"refuses us .*stand in redis.url") as told:
        await asyncio.to_thread(rows, settings_at(redis, tmp_path), "default")
    assert "not-it" not in str(told.value)


async def test_a_failover_by_sentinel_is_followed(
    tmp_path: Path, free_ports: Callable[[int], list[int]], closing: ExitStack
) -> None:
    master, replica, *watchers = free_ports(5)
    first = RedisProcess(tmp_path / "master", master, f"port {master}", 'save ""')
    second = RedisProcess(
        tmp_path / "replica", replica, f"port {replica}", 'save ""', f"replicaof 127.0.0.1 {master}"
    )
    watching = sentinels(tmp_path, watchers, master)
    for process in (first, second, *watching):
        closing.callback(process.close)
    redis = RedisSettings(
        url="redis://ignored/0",
        sentinels=tuple(f"127.0.0.1:{port}" for port in watchers),
        sentinel_master="mine",
    )
    settings = settings_at(redis, tmp_path)
    await whole_use(settings, settings)
    client = connect(redis)
    table = RouteTable(client)

    async def replicated() -> bool:
        told = await client.info("replication")
        return bool(told["connected_slaves"]) and told["slave0"]["offset"] == told["master_repl_offset"]

    async def watched() -> bool:
        states = await client.connection_pool.sentinel_manager.sentinels[0].sentinel_masters()  # type: ignore
        return states["mine"]["num-other-sentinels"] == 2 and states["mine"]["num-slaves"] == 1

    await eventually(replicated)
    await eventually(watched)

    async def written() -> bool:
        try:
            return await table.apply_route(route(50)) or "t50" in (await table.load("default")).routes
        except (RedisError, OSError):
            return False

    async with following(settings) as snapshot:
        await eventually(lambda: seen(snapshot, "t2"))
        first.kill()
        await eventually(written)
        await eventually(lambda: seen(snapshot, "t50"))
    await client.aclose()
    nowhere = RedisSettings(url="redis://ignored/0", sentinels=redis.sentinels, sentinel_master="another")
    with pytest.raises(UnavailableError, match="no sentinel tells of it"):
        await asyncio.to_thread(rows, settings_at(nowhere, tmp_path), "default")


async def test_a_cluster_keeps_the_keys_of_a_tenant_together(
    tmp_path: Path, free_ports: Callable[[int], list[int]], closing: ExitStack
) -> None:
    nodes = cluster(tmp_path, free_ports(6))
    for node in nodes:
        closing.callback(node.close)
    redis = RedisSettings(url=f"redis://127.0.0.1:{nodes[0].port}", cluster=True, prefix="acme.")
    settings = settings_at(redis, tmp_path)
    await whole_use(settings, settings)
    client = connect(redis)
    assert isinstance(client, RedisCluster)
    await client.initialize()
    slots = {
        tenant: {client.keyslot(key(tenant, name, "acme.")) for name in ("routes", "tasks", "epoch")}
        for tenant in (f"tenant-{n}" for n in range(20))
    }
    assert all(len(found) == 1 for found in slots.values())
    holders = {client.get_node_from_key(key(tenant, "routes", "acme.")).port for tenant in slots}
    assert holders == {node.port for node in nodes}  # the test reached every master
    await client.aclose()
