# Runs the install and the test of a formula, from the root of the project and
# into $PREFIX. It knows only the words of Homebrew that ours uses.
require "pathname"
require "fileutils"
require "open3"

module OS
  def self.mac? = false
end

class Pathname
  # Homebrew's: copies files into a folder.
  def install(*files)
    mkpath
    files.each { |f| FileUtils.cp(f, self) }
  end

  def mkpath = FileUtils.mkdir_p(self) && self
end

class Formula
  class << self
    attr_reader :words, :block
    %w[desc homepage license head depends_on].each { |word| define_method(word) { |*a, **| (@words ||= {})[word] = a.first } }
    def test(&block) = @block = block
    def inherited(formula) = ($formula = formula; super)
  end

  def prefix = Pathname(ENV.fetch("PREFIX"))
  def bin = prefix/"bin"
  def man1 = prefix/"share/man/man1"
  def doc = prefix/"share/doc/ccad"
  def version = "HEAD-1"
  def testpath = prefix/"test"
  def std_go_args(output:, ldflags:) = ["-trimpath", "-o=#{output}", "-ldflags=#{ldflags}"]

  def system(*args)
    Kernel.system(*args.map(&:to_s)) or raise "failed: #{args.join(" ")}"
  end

  def generate_completions_from_executable(program, verb, shells:)
    FileUtils.mkdir_p(prefix/"completions")
    shells.each { |shell| (prefix/"completions"/shell.to_s).write(shell_output("#{program} #{verb} #{shell}")) }
  end

  def shell_output(command, status = 0)
    out, ended = Open3.capture2("sh", "-c", command)
    raise "#{command} ended with #{ended.exitstatus}: #{out}" if ended.exitstatus != status
    out
  end

  def assert_match(want, text)
    raise "#{want.inspect} is not in #{text.inspect}" unless text.include?(want)
  end
end

load ARGV.fetch(0)
formula = $formula.new
%w[desc homepage license head].each { |word| raise "no #{word}" unless $formula.words[word] }
formula.install
formula.testpath.mkpath
formula.instance_eval(&$formula.block)
