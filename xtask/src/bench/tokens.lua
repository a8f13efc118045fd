-- Sends each token of a file once.
local tokens, head, tail

function init(args)
  tokens = io.lines(args[1])
  head = "GET " .. wrk.path .. " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\nAuthorization: Bearer "
  tail = "\r\n\r\n"
end

function request()
  local token = tokens()
  if not token then
    io.stderr:write("the tokens have run out\n")
    os.exit(3)
  end
  return head .. token .. tail
end
