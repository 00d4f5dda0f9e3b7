"use strict";
// Turns the microphone's samples into 16-bit blocks of a tenth of a second, with their level.

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Int16Array(Math.round(sampleRate / 10));
    this.filled = 0;
    this.peak = 0;
  }

  process(inputs) {
    const samples = inputs[0][0];
    if (!samples) return true;
    for (const sample of samples) {
      const clipped = Math.max(-1, Math.min(1, sample));
      this.peak = Math.max(this.peak, Math.abs(clipped));
      this.block[this.filled] = Math.round(clipped * 32767);
      this.filled += 1;
      if (this.filled === this.block.length) {
        const copy = this.block.slice();
        this.port.postMessage({ samples: copy.buffer, peak: this.peak }, [copy.buffer]);
        this.filled = 0;
        this.peak = 0;
      }
    }
    return true;
  }
}

registerProcessor("microphone", Microphone);
