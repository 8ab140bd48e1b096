/** What a simulated fleet is like: how long things take, how often they fail, and how agents behave. Values only. */
import type { Range } from './chance.ts'

export interface Settings {
  /** The same seed, the same draws. */
  seed: number
  /** How long things take, in milliseconds; each time is drawn from the range. */
  delayMs: {
    bmcAnswer: Range
    powerOn: Range
    powerOff: Range
    /** From power-on to the boot loader's first request. */
    firmware: Range
    /** From the ramdisk's last byte to the agent's first request. */
    ramdisk: Range
    /** From the firmware's decision for the disk to a running operating system. */
    instance: Range
    /** A clean, deploy or service step other than writing. */
    step: Range
    /** Writing an image, or erasing the disks; progress is told meanwhile. */
    write: Range
  }
  /** Probabilities from 0 to 1. */
  rate: {
    /** A BMC answers a request with 503. */
    bmcBusy: number
    /** A BMC breaks the connection instead of answering. */
    bmcSilent: number
    /** A network boot ends nowhere: no agent comes. */
    bootHangs: number
    /** A step fails with an error. */
    stepFails: number
    /** The machine hangs in mid-step: it stays on, and nothing answers any more. */
    agentDies: number
    /** A heartbeat gets lost on its way. */
    heartbeatLost: number
    /** An agent breaks the connection instead of answering. */
    agentSilent: number
  }
  agent: {
    /** Least time between two heartbeats, also when a command ended. */
    heartbeatGapMs: number
    /** Time to the next heartbeat where nothing asks for an earlier one; null: 0.3 to 0.6 of what the API allows. */
    heartbeatMs: Range | null
    /** First pause between two lookups; it grows up to sixty times this. */
    lookupPauseMs: number
    /** First pause of the boot loader when a server does not answer; it grows up to 32 times this. */
    bootPauseMs: number
    /** HTTPS with a certificate of the agent's own; false: plain HTTP, for services with [agent] require_tls off. */
    tls: boolean
    /** One certificate for all agents instead of one per boot: saves memory in fleets of thousands. */
    sharedCertificate: boolean
    /** Fetches images and hashes them; false: only takes the time. */
    fetchesImages: boolean
  }
}

/** Like machines, but for the seconds: those of a lab's virtual machine are a hundred times as many. */
export const usual: Settings = {
  seed: 1,
  delayMs: {
    bmcAnswer: [2, 20],
    powerOn: [100, 500],
    powerOff: [100, 300],
    firmware: [300, 600],
    ramdisk: [500, 1000],
    instance: [500, 1000],
    step: [200, 600],
    write: [2500, 4000],
  },
  rate: { bmcBusy: 0, bmcSilent: 0, bootHangs: 0, stepFails: 0, agentDies: 0, heartbeatLost: 0, agentSilent: 0 },
  agent: {
    heartbeatGapMs: 5_000,
    heartbeatMs: null,
    lookupPauseMs: 1_000,
    bootPauseMs: 1_000,
    tls: true,
    sharedCertificate: false,
    fetchesImages: true,
  },
}

/** As fast as the service allows: for tests, and for measuring the service rather than the simulation. */
export const brisk: Settings = {
  ...usual,
  delayMs: {
    bmcAnswer: [0, 2],
    powerOn: [5, 20],
    powerOff: [5, 20],
    firmware: [5, 20],
    ramdisk: [10, 50],
    instance: [5, 20],
    step: [20, 60],
    write: [100, 200],
  },
  agent: { ...usual.agent, heartbeatGapMs: 100, lookupPauseMs: 100, bootPauseMs: 100 },
}
