-- Apply rows to one hash of the routing table, each only where it is newer than the stored one.
--
-- KEYS  1 hash of rows   2 epoch
-- ARGV  1 "routes" or "tasks"   2 channel   3 a random token   4.. field, row, field, row ...
-- Returns one 0 or 1 a row: was it applied?
--
-- The order of a route is its version (incarnation, offset); of a task its version, how far its life has
-- come, and its calls. Numbers are doubles here: exact below 2^53.

local LIFE = { candidate = 0, task = 1, merged = 2, retired = 3 }

local function order(kind, json)
  local ok, row = pcall(cjson.decode, json)
  if not ok or type(row) ~= "table" then return { -1, -1, -1 } end  -- a damaged row gives way to any
  if kind == "routes" then
    local version = row.version or { 0, -1 }
    return { version[1], version[2], 0 }
  end
  return { row.version or 1, LIFE[row.status or "candidate"] or 0, row.calls or 0 }
end

local function compare(a, b)
  for i = 1, 3 do
    if a[i] ~= b[i] then return a[i] < b[i] and -1 or 1 end
  end
  return 0
end

local kind, applied, changed = ARGV[1], {}, 0
for i = 4, #ARGV, 2 do
  local field, row = ARGV[i], ARGV[i + 1]
  local stored = redis.call("HGET", KEYS[1], field)
  local newer = true
  if stored then
    local sign = compare(order(kind, row), order(kind, stored))
    -- calls of a task may stand still while its name or labels change
    newer = sign > 0 or (sign == 0 and kind == "tasks" and row ~= stored)
  end
  if newer then
    redis.call("HSET", KEYS[1], field, row)
    changed = changed + 1
  end
  applied[#applied + 1] = newer and 1 or 0
end

if changed > 0 then
  -- After a flush the epoch starts from a new token, so that no count made again equals an old one.
  local epoch = redis.call("GET", KEYS[2])
  local token, count = string.match(epoch or "", "^(%x+)%.(%d+)$")
  local next_epoch = (token or ARGV[3]) .. "." .. string.format("%d", (tonumber(count) or 0) + 1)
  redis.call("SET", KEYS[2], next_epoch)
  redis.call("PUBLISH", ARGV[2], next_epoch)
end
return applied
