# frozen_string_literal: true

# What Sidekiq's worker runs, and its settings: sidekiq -r ./sidekiq_jobs.rb
require "sidekiq"

Redis.silence_deprecations = true # what Sidekiq 6.4 has redis-rb 4.8 say at every job
address = {url: ENV.fetch("MILLRACE_URL")}
Sidekiq.configure_client { |config| config.redis = address }
Sidekiq.configure_server do |config|
  config.redis = address
  # Look for jobs that are due about every half second, and from the start.
  config.options[:poll_interval_average] = 0.5
end

# Leaves what it is given in a list.
class Note
  include Sidekiq::Job

  def perform(list, value)
    Sidekiq.redis { |redis| redis.rpush(list, value) }
  end
end

# Fails so often, then leaves the number of its run.
class FailTimes
  include Sidekiq::Job
  sidekiq_options retry: 3

  def perform(list, times)
    run = Sidekiq.redis { |redis| redis.incr("#{list}:runs") }
    raise "run #{run}" if run <= times
    Sidekiq.redis { |redis| redis.rpush(list, run) }
  end
end

# Fails for good after one more try.
class FailAlways
  include Sidekiq::Job
  sidekiq_options retry: 1

  def perform(list)
    Sidekiq.redis { |redis| redis.incr("#{list}:runs") }
    raise "on purpose"
  end
end

# Says that it has begun, and does not end.
class Hang
  include Sidekiq::Job

  def perform(list)
    Sidekiq.redis { |redis| redis.rpush(list, "begun") }
    sleep 60
  end
end
