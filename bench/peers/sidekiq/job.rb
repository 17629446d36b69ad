# What `sidekiq -r` loads, and the producers too: the job and where Redis is.
require "sidekiq"

redis = { url: "unix://#{ENV.fetch("BENCH_REDIS")}" }
Sidekiq.configure_client { |c| c.redis = redis.merge(size: 5) }
Sidekiq.configure_server do |c|
  c.redis = redis
  c[:dead_max_jobs] = 100 if c.respond_to?(:[]=)
end
Sidekiq.logger.level = Logger::WARN # a line a job costs more than the job

STARTS = ENV["BENCH_STARTS"] && File.open(ENV["BENCH_STARTS"], File::WRONLY | File::APPEND | File::CREAT).tap { |f| f.sync = true }

class Noop
  include Sidekiq::Worker
  sidekiq_options retry: 3

  def perform(_payload, due = nil)
    STARTS&.write("#{due} #{Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)}\n")
  end
end
