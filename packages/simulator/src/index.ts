/** Simulator of the iSMS 2FA API, to start in a test or in a program of your own. */
export type { Pace } from './answer.js';
export { type Behaviour, type BehaviourName, behaviours, failureNumbers } from './behaviours.js';
export type { Sms } from './outbox.js';
export type { Settings, SettingsUpdate } from './settings.js';
export type { Capacity, SimulatorLogger, SimulatorOptions } from './simulation.js';
export { createSimulator, type Simulator, type StartOptions, startSimulator } from './simulator.js';
export type { InboxQuery, SimulatorState, Stats } from './state.js';
