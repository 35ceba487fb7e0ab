# A formula for Homebrew, on macOS and on Linux. Until there is a release it
# builds the main branch: brew install --HEAD ./packaging/homebrew/ccad.rb
class Ccad < Formula
  desc "Credentials daemon for OpenStack object storage"
  homepage "https://github.com/cloud-ca/ccad"
  license "MIT"
  head "https://github.com/cloud-ca/ccad.git", branch: "main"

  depends_on "go" => :build

  def install
    # The keychain of macOS is reached by cgo; elsewhere the programs are static.
    ENV["CGO_ENABLED"] = OS.mac? ? "1" : "0"
    %w[ccad ccactl].each do |program|
      system "go", "build", *std_go_args(ldflags: "-s -w -X main.version=#{version}", output: bin/program), "./cmd/#{program}"
    end
    generate_completions_from_executable(bin/"ccactl", "completion", shells: [:bash, :zsh, :fish, :pwsh])
    system "go", "run", "-tags", "man", "./cmd/ccactl", "man", man1.mkpath.to_s
    man1.install "packaging/man/ccad.1"
    doc.install "packaging/config.toml"
  end

  def caveats
    <<~EOS
      ccactl setup makes the keyring, starts ccad at login, and imports your credentials.
    EOS
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/ccad version")
    ENV["XDG_RUNTIME_DIR"] = testpath.to_s
    assert_match "no daemon", shell_output("#{bin}/ccactl status 2>&1", 3)
  end
end
