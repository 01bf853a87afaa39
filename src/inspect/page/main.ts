/** The script of a report in a file of its own: the data stand in the page. */
import type { ReportData } from './data.ts';
import { mountReport } from './mount.ts';

const data = JSON.parse(document.getElementById('data')!.textContent) as ReportData;
mountReport(document.getElementById('report')!, data);
