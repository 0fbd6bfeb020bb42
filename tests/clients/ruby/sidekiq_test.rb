# frozen_string_literal: true

# Sidekiq as its users run it: a worker as a process, jobs for later, retries, dead jobs, a worker that is stopped.
# What is due is taken from its sets by a script.
require "minitest/autorun"
require "sidekiq/api"
require "sidekiq/scheduled"
require_relative "sidekiq_jobs"

Sidekiq.logger.level = Logger::FATAL

# How long a test waits for something that should happen at once. Reached only when it does not happen.
PATIENCE_S = 20

class SidekiqTest < Minitest::Test
  def setup
    redis(&:flushall)
    @workers = []
  end

  def teardown
    @workers.each do |pid, output|
      begin
        Process.kill(:KILL, pid)
        Process.wait(pid)
      rescue Errno::ESRCH, Errno::ECHILD
        nil # it has ended
      end
      output.rewind
      warn output.read unless passed?
      output.close
    end
  end

  def redis(&block)
    Sidekiq.redis(&block)
  end

  def wait_until(what)
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + PATIENCE_S
    loop do
      value = yield
      return value if value
      flunk "waited #{PATIENCE_S} s in vain for: #{what}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
      sleep 0.005
    end
  end

  def list(name)
    redis { |one| one.lrange(name, 0, -1) }
  end

  # As if the time had passed: Sidekiq waits for 15 seconds and more before it tries a job again.
  def make_retries_due
    redis { |one| one.zrange("retry", 0, -1).each { |job| one.zadd("retry", 1, job, xx: true) } }
  end

  def stop(worker)
    Process.kill(:TERM, worker)
    Process.wait(worker)
  end

  def start_worker(*queues, threads: 3)
    output = Tempfile.new
    options = queues.flat_map { |queue| ["-q", queue] } + ["-c", threads.to_s, "-t", "1", "-r", File.join(__dir__, "sidekiq_jobs.rb")]
    pid = spawn("sidekiq", *options, in: File::NULL, out: output.path, err: output.path)
    @workers << [pid, output]
    pid
  end

  def test_a_worker_runs_jobs_of_its_queues
    20.times { |number| Note.set(queue: "first").perform_async("seen", number) }
    Note.set(queue: "second").perform_bulk((20...40).map { |number| ["seen", number] })
    Note.set(queue: "other").perform_async("seen", 99)
    assert_equal [20, 20, 1], %w[first second other].map { |name| Sidekiq::Queue.new(name).size }
    worker = start_worker("first", "second")
    wait_until("forty jobs") { redis { |one| one.llen("seen") } == 40 }
    assert_equal (0...40).map(&:to_s), list("seen").sort_by(&:to_i)
    assert_equal 1, Sidekiq::Queue.new("other").size
    assert_equal %w[first second], wait_until("its heartbeat") { Sidekiq::ProcessSet.new.first }["queues"].sort
    stop(worker)
    assert_equal 40, Sidekiq::Stats.new.processed
  end

  def test_jobs_for_later_run_when_they_are_due
    Note.set(queue: "later").perform_in(3600, "seen", "in an hour")
    Note.set(queue: "later").perform_in(1, "seen", "in a second")
    assert_equal 2, Sidekiq::ScheduledSet.new.size
    start_worker("later")
    wait_until("the job") { list("seen") == ["in a second"] }
    assert_equal ["in an hour"], Sidekiq::ScheduledSet.new.map { |job| job.args.last }
  end

  def test_what_is_due_is_taken_once_and_in_order
    due = Time.now.to_f - 1000
    300.times { |number| Note.set(queue: "due").perform_at(due + number, "seen", number) }
    Note.set(queue: "due").perform_in(3600, "seen", "later")
    first, second = Array.new(2) { Sidekiq::Scheduled::Enq.new }
    first.enqueue_jobs(["retry"]) # the script is known now,
    redis { |one| one.script(:flush) } # and forgotten
    [first, second].map { |one| Thread.new { one.enqueue_jobs } }.each(&:join)
    queued = Sidekiq::Queue.new("due").map { |job| job.args.last }
    assert_equal (0...300).to_a, queued.sort
    assert_equal 1, Sidekiq::ScheduledSet.new.size
  end

  def test_a_job_that_fails_is_tried_again
    FailTimes.set(queue: "retry").perform_async("runs", 2)
    start_worker("retry")
    wait_until("the third run") do
      make_retries_due
      list("runs") == ["3"]
    end
    assert_equal 0, Sidekiq::RetrySet.new.size
  end

  def test_a_job_that_fails_too_often_dies_and_is_retried_by_hand
    FailAlways.set(queue: "dead").perform_async("dead")
    start_worker("dead")
    dies = lambda do |runs|
      make_retries_due
      redis { |one| one.get("dead:runs") } == runs && Sidekiq::DeadSet.new.size == 1
    end
    wait_until("a dead job") { dies.call("2") }
    job = Sidekiq::DeadSet.new.first
    assert_equal ["on purpose", 1], [job["error_message"], job["retry_count"]]
    job.retry
    wait_until("its second death") { dies.call("3") }
  end

  def test_a_worker_that_is_stopped_puts_back_what_it_has
    2.times { Hang.set(queue: "stop").perform_async("hung") }
    # No thread is idle: one that still waits for work may take what is put back, and loses it when it is stopped itself.
    worker = start_worker("stop", threads: 2)
    wait_until("two jobs to hang") { list("hung").size == 2 }
    assert_equal 0, Sidekiq::Queue.new("stop").size
    stop(worker)
    assert_equal %w[Hang Hang], Sidekiq::Queue.new("stop").map(&:klass)
    assert_equal 0, Sidekiq::ProcessSet.new.size
  end
end
