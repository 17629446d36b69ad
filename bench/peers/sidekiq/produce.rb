# produce.rb: BENCH_N jobs with push_bulk, 1000 a call; or with BENCH_RATE so many a second for BENCH_SECONDS, each at its own
# time, after BENCH_WARM others that do not count (due 0).
require_relative "job"

def now
  Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)
end

payload = ENV.fetch("BENCH_PAYLOAD", "")
rate = ENV.fetch("BENCH_RATE", "0").to_f
began = now
if rate.zero?
  n = ENV.fetch("BENCH_N").to_i
  n.step(1, -1000) do |left|
    Sidekiq::Client.push_bulk("class" => Noop, "args" => Array.new([left, 1000].min) { [payload] })
  end
  puts "took_us #{now - began}"
else
  ENV.fetch("BENCH_WARM", "0").to_i.times { Noop.perform_async(payload, 0) }
  began = now
  n = (rate * ENV.fetch("BENCH_SECONDS").to_f).round
  n.times do |i|
    due = began + (i * 1e6 / rate).round
    wait = due - now
    sleep(wait / 1e6) if wait > 0
    Noop.perform_async(payload, due)
  end
  puts "sent #{n}"
end
