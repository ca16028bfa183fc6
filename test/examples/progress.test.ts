import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { duration, Progress } from "../../examples/00-ask-the-docs/progress.mjs";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function stream(properties: { isTTY: boolean; columns?: number }) {
  const written: string[] = [];
  const fake = { ...properties, write: (text: string) => written.push(text) };
  return { written, stream: fake as unknown as NodeJS.WriteStream };
}

describe("progress", () => {
  it("renews one line in a terminal, never wider than that, and clears it", () => {
    const { written, stream: terminal } = stream({ isTTY: true, columns: 60 });
    const progress = new Progress(terminal, "embedding");
    progress.update(0, 200);
    vi.advanceTimersByTime(10_000);
    progress.update(100, 200);
    progress.end();
    expect(written).toHaveLength(3);
    expect(written[0]).toContain("0 of 200");
    expect(written[1]).toMatch(/█{12}░{12} {2}100 of 200 {2}10\/s/);
    for (const line of written) {
      expect(line.startsWith("\r")).toBe(true);
      expect(line.replace("\x1b[K", "").length).toBeLessThanOrEqual(60);
    }
    expect(written.at(-1)).toBe("\r\x1b[K");
  });

  it("writes a line at first, with the first rate and then every ten seconds elsewhere", () => {
    const { written, stream: pipe } = stream({ isTTY: false });
    const progress = new Progress(pipe, "embedding");
    for (let done = 0; done <= 300; done += 10) {
      progress.update(done, 300);
      vi.advanceTimersByTime(1000);
    }
    progress.end();
    expect(written).toEqual([
      "embedding  0 of 300\n",
      "embedding  10 of 300  10/s  29 s left\n",
      "embedding  110 of 300  10/s  19 s left\n",
      "embedding  210 of 300  10/s  9.0 s left\n",
    ]);
  });
});

describe("duration", () => {
  it.each([
    [0.04, "0.0 s"],
    [9.94, "9.9 s"],
    [9.96, "10 s"],
    [119.4, "119 s"],
    [119.6, "2 min 0 s"],
    [179.8, "3 min 0 s"],
    [200, "3 min 20 s"],
  ])("says %d s as %s", (seconds, said) => {
    expect(duration(seconds)).toBe(said);
  });
});
