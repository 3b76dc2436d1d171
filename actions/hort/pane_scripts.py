"""The Lua of the pane store: what must change together, or not at all."""

from __future__ import annotations

ADD = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('HEXISTS', KEYS[2], 'late') == 1 then return 2 end
for i = 6, #KEYS do
  local a = 6 + (i - 6) * 3
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
"""Adds a batch to its panes unless it is acknowledged (0) or in already (2).

KEYS: batch, stage, sets `panes`, `touched`, `journals`, then the panes. ARGV: batch id, late positions, seconds the stage
lives, now, journal, then start, milliseconds to live and bytes of each pane.
"""

COMMIT = """
local m = cmsgpack.unpack(ARGV[1])
local h = m.head
if h then
  if (tonumber(redis.call('HGET', h.state, 'generation')) or 0) ~= h.generation then return 0 end
  redis.call('HSET', h.state, 'generation', h.generation + 1, 'closed', h.closed)
  if h.batch then
    redis.call('HSET', h.batch, 'raw', '', 'trigger', 'close', 'count', h.count, 'bytes', 0,
      'created_ms', h.now, 'attempts', 0)
    redis.call('ZADD', h.journal, h.now, h.batch_id)
    redis.call('HSET', h.stage, unpack(h.outbox))
    redis.call('EXPIRE', h.stage, h.ttl)
  end
  for _, r in ipairs(h.revisions) do
    for i = 1, #r.fields, 200 do
      redis.call('HSET', r.key, unpack(r.fields, i, math.min(i + 199, #r.fields)))
    end
    redis.call('PEXPIRE', r.key, r.ttl)
  end
end
for _, t in ipairs(m.transitions) do
  redis.call('ZREM', t.from, t.member)
  redis.call('ZADD', t.to, 'GT', t.newest, t.member)
end
for _, c in ipairs(m.compactions) do
  local whole = redis.call('EXISTS', c.key) == 1
  for _, b in ipairs(c.batches) do whole = whole and redis.call('HEXISTS', c.key, b) == 1 end
  if whole then
    redis.call('HSET', c.key, '=base', c.base)
    for i = 1, #c.batches, 1000 do
      redis.call('HDEL', c.key, unpack(c.batches, i, math.min(i + 999, #c.batches)))
    end
    if redis.call('HLEN', c.key) == 1 then redis.call('ZREM', m.touched, c.start) end
  end
end
for _, start in ipairs(redis.call('ZRANGEBYSCORE', m.panes, '-inf', '(' .. m.before)) do
  local key = m.pane .. start .. ':' .. m.length
  if redis.call('EXISTS', key) == 0 or not redis.call('ZSCORE', m.touched, start) then
    redis.call('UNLINK', key)
    redis.call('ZREM', m.touched, start)
    redis.call('ZREM', m.panes, start)
  end
end
return 1
"""
"""Ends a close; 0 where another one was first.

ARGV: one MessagePack map, see `hort.pane_store`; without `head` it changes one partition only. A pane is merged only while
all the batches that were read are still in it apart: another close may have merged some of them since.
"""
