"""The Lua of the pane store: what must change together, or not at all."""

from __future__ import annotations

ADD = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('HEXISTS', KEYS[2], 'late') == 1 then return 2 end
local removed = tonumber(redis.call('GET', KEYS[6])) or 0
for i = 7, #KEYS do
  if tonumber(ARGV[6 + (i - 7) * 3]) < removed then return 3 end
end
for i = 7, #KEYS do
  local a = 6 + (i - 7) * 3
  redis.call('HSETNX', KEYS[i], ARGV[1], ARGV[a + 2])
  redis.call('PEXPIRE', KEYS[i], ARGV[a + 1])
  redis.call('ZADD', KEYS[3], ARGV[a], ARGV[a])
  redis.call('ZADD', KEYS[4], ARGV[a], ARGV[a])
end
redis.call('HSET', KEYS[2], 'late', ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('ZADD', KEYS[5], ARGV[4], ARGV[5])
redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -101)
return 1
"""
"""Adds a batch to its panes unless it is acknowledged (0), in already (2), or is in a window that lost a pane (3).

KEYS: batch, stage, sets `panes`, `touched`, `journals`, end of the last window that lost a pane, then the panes. ARGV: batch id, late positions, seconds the stage
lives, now, journal, then start, milliseconds to live and bytes of each pane.
"""

CONTENT = """
local found = {}
for i, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  found[2 * i - 1] = name
  if name == '=base' then found[2 * i] = redis.call('HGET', KEYS[1], name)
  else found[2 * i] = redis.call('HSTRLEN', KEYS[1], name) end
end
return found
"""
"""A pane's batches and how many bytes each of them brought; `=base` as it is."""

END = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"
"""Gives the turn back where it is still one's own."""

KEEP = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end"
"""Keeps the turn for longer where it is still one's own."""

DROP = """
local base = redis.call('HGET', KEYS[1], '=base') or ''
if string.match(base, '^[^:]*') ~= ARGV[1] then redis.call('UNLINK', KEYS[2]) end
"""
"""Removes what lies under a name of a pane's unless it is the pane's base.

KEYS: pane, parts. ARGV: the name.
"""

COMMIT = """
local function base_key(pane, base) return pane .. ':' .. string.match(base, '^[^:]*') end
local m = cmsgpack.unpack(ARGV[1])
local h = m.head
if h then
  if redis.call('HGET', h.state, 'by') == h.by then return 1 end
  if (tonumber(redis.call('HGET', h.state, 'generation')) or 0) ~= h.generation then return 0 end
  for _, b in ipairs(h.batches) do
    if redis.call('EXISTS', b.batch, b.stage) < 2 then return 0 end
  end
  redis.call('HSET', h.state, 'generation', h.generation + 1, 'by', h.by, 'closed', h.closed,
    'furthest', h.furthest, 'ticked', h.now, 'watched', h.watched)
  for _, b in ipairs(h.batches) do
    redis.call('PERSIST', b.batch)
    redis.call('EXPIRE', b.stage, h.ttl)
    redis.call('ZADD', h.journal, h.now, b.id)
  end
  for _, r in ipairs(h.revisions) do redis.call('SET', r.key, r.number, 'PX', r.ttl) end
end
for _, t in ipairs(m.transitions) do
  redis.call('ZREM', t.from, t.member)
  redis.call('ZADD', t.to, 'GT', t.newest, t.member)
end
for _, c in ipairs(m.compactions) do
  local base = redis.call('HGET', c.key, '=base') or ''
  local whole = base == c.replaced and redis.call('EXISTS', c.key) == 1
  for _, b in ipairs(c.batches) do whole = whole and redis.call('HEXISTS', c.key, b) == 1 end
  whole = whole and redis.call('HLEN', c.parts) == tonumber(string.match(c.base, '^[^:]*:(%d+):'))
  if whole then
    redis.call('HSET', c.key, '=base', c.base)
    redis.call('PEXPIRE', c.parts, redis.call('PTTL', c.key) + 60000)
    if c.replaced ~= '' then redis.call('UNLINK', base_key(c.key, c.replaced)) end
    for i = 1, #c.batches, 1000 do
      redis.call('HDEL', c.key, unpack(c.batches, i, math.min(i + 999, #c.batches)))
    end
    if redis.call('HLEN', c.key) == 1 then redis.call('ZREM', m.touched, c.start) end
  elseif base ~= c.base then
    redis.call('UNLINK', c.parts)
  end
end
local function pane_key(start) return m.pane .. start .. ':' .. m.length end
local unsettled = m.unsettled or math.huge
for _, start in ipairs(redis.call('ZRANGE', m.touched, 0, -1)) do
  if redis.call('EXISTS', pane_key(start)) == 1 then
    unsettled = math.min(unsettled, tonumber(start))
    break
  end
end
local removed = tonumber(redis.call('GET', m.removed)) or 0
for _, start in ipairs(redis.call('ZRANGEBYSCORE', m.panes, '-inf', '(' .. m.before)) do
  local key = pane_key(start)
  if redis.call('EXISTS', key) == 0 or tonumber(start) + m.window <= unsettled then
    local base = redis.call('HGET', key, '=base')
    if base then redis.call('UNLINK', base_key(key, base)) end
    redis.call('UNLINK', key)
    redis.call('ZREM', m.touched, start)
    redis.call('ZREM', m.panes, start)
    if tonumber(start) + m.window > removed then
      removed = tonumber(start) + m.window
      redis.call('SET', m.removed, string.format('%.0f', removed))
    end
  end
end
return 1
"""
"""Ends a close; 0 where another one was first. Repeated by a client that did not hear the answer, it changes nothing more.

ARGV: one MessagePack map, see `hort.pane_store`; without `head` it changes one partition only. A pane is merged only while
all the batches that were read are still in it apart and its base is the one that was read: another close may have merged some of
them since; and while the new base has all its parts, as they expire. A pane stays while it shares a window with one that is not settled, since that window is written once more.
"""
