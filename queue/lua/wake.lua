-- wake: who took the token cannot use it, so it is put back if there is something to wake for.
if not is_paused() and any_waiting() then
    leave_token()
end
return 1
