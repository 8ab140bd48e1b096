/** What the store of images tells of each request. */
import { measure } from '#lib/measure.ts'

/** `stored`: it was there; `fetched`: it had to come first, alone or with others who asked. */
export const imagesAsked = measure<{ from: 'stored' | 'fetched' }>('ferrite:images:asked')
