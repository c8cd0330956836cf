// Which frame is shown: a clock that can be paused, slowed and moved.

const SPEEDS = [0.1, 0.25, 0.5, 0.75, 1, 1.5, 2];

class Player {
  /** `changed` is called after every visible change of the player's state. */
  constructor(changed) {
    Object.assign(this, { changed, frame: 0, frames: 1, fps: 25, speed: 1, repeat: true });
    this.playing = false;
  }

  load(frames, fps) {
    Object.assign(this, { frames, fps });
    this.seek(0);
  }

  /** Show a frame; the nearest one there is. */
  seek(frame) {
    this.frame = Math.max(0, Math.min(this.frames - 1, Math.round(frame)));
    this.restart();
  }

  step(frames) {
    this.playing = false;
    this.seek(this.frame + frames);
  }

  toggle() {
    this.playing = !this.playing;
    const over = this.frame === this.frames - 1;
    this.seek(this.playing && over ? 0 : this.frame);
  }

  setSpeed(speed) {
    this.speed = speed;
    this.restart();
  }

  /** One speed up or down the list. */
  shift(places) {
    const place = SPEEDS.indexOf(this.speed) + places;
    this.setSpeed(SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, place))]);
  }

  /** Play from the current frame. */
  restart() {
    this.since = null;
    this.changed();
  }

  /** Advance to `now` (milliseconds) if playing. Frames are skipped if drawing is slow. */
  tick(now) {
    if (!this.playing) return;
    if (this.since === null) {
      this.since = now;
      this.first = this.frame;
      return;
    }
    const passed = Math.floor(((now - this.since) * this.fps * this.speed) / 1000);
    const frame = this.first + passed;
    if (frame >= this.frames && !this.repeat) {
      this.playing = false;
      this.seek(this.frames - 1);
    } else if (frame % this.frames !== this.frame) {
      this.frame = frame % this.frames;
      this.changed();
    }
  }
}
