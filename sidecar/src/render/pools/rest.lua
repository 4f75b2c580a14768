-- An upstream that has said when it takes calls again gets none before: it is answered for here,
-- and the pool asks the next. One for each upstream of a pool; what it remembers is one worker's.
local LONGEST = 300000
local rests_until = 0

local function now(handle)
  return tonumber(handle:timestamp(EnvoyTimestampResolution.MILLISECOND))
end

function envoy_on_request(handle)
  local left = rests_until - now(handle)
  if left <= 0 then return end
  handle:streamInfo():dynamicMetadata():set("sekisho", "rests", true)
  handle:respond(
    {
      [":status"] = "429",
      ["content-type"] = "application/json",
      ["retry-after"] = tostring(math.ceil(left / 1000)),
    },
    '{"error":{"message":"The provider takes no calls for now.","type":"rate_limit_exceeded","code":"upstream_rests"}}'
  )
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local status = headers:get(":status")
  if status ~= "429" and status ~= "503" then return end
  local own = handle:streamInfo():dynamicMetadata():get("sekisho")
  if own ~= nil and own["rests"] then return end
  -- Azure says it in milliseconds, too. Dates are not followed.
  local wait = tonumber(headers:get("retry-after-ms") or "")
  if wait == nil then
    local seconds = tonumber(headers:get("retry-after") or "")
    wait = seconds and seconds * 1000
  end
  if wait ~= nil and wait > 0 then
    rests_until = math.max(rests_until, now(handle) + math.min(wait, LONGEST))
  end
end
