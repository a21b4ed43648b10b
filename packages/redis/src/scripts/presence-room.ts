/**
 * What the scripts of presence share that change what is there, and take no more room than before.
 *
 * `noMore(key)`: a server without memory refuses commands that could take more, unless a script has begun with one that cannot.
 * Without such a key it begins nothing, and what is new is refused.
 */
export const luaRoom: string = `
local function noMore(key)
  local left = redis.call('PTTL', key)
  if left > 0 then redis.call('PEXPIRE', key, left) end
end
`;
