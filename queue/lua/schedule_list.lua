-- schedule_list: schedules by name, without their jobs. Reads only.
-- ARGV  the name behind which it begins, at most how many
-- gives {now, whether there are more, then for each: name, record, next tick or '', past or ''}
local limit, names, reply = tonumber(ARGV[2]), {}, {NOW, 0}
for _, name in ipairs(call('HKEYS', RECORDS)) do
    if name > ARGV[1] then
        names[#names + 1] = name
    end
end
table.sort(names)
for i, name in ipairs(names) do
    if i > limit then
        reply[2] = 1
        break
    end
    reply[#reply + 1] = name
    reply[#reply + 1] = call('HGET', RECORDS, name) or ''
    reply[#reply + 1] = tick_of(name)
    reply[#reply + 1] = call('HGET', PAST, name) or ''
end
return reply
